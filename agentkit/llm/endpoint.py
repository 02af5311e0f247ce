"""Settings of an endpoint, refused where they hold a secret: URLs and plain headers are shown and stored."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from agentkit.errors import ConfigError
from agentkit.redact import is_secret_name


def checked_url(url: str, place: str, secrets_go: str) -> httpx.URL:
    """`url` taken apart; `place` is the setting's name and `secrets_go` the setting that is meant for secrets.

    Raises ConfigError, which never quotes a secret.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigError(f"{place}: not a URL: {error}") from None
    if parsed.userinfo or any(is_secret_name(name) or name == "key" for name in parsed.params):
        raise ConfigError(f"{place}: holds a user, password or key; {_instead(secrets_go)}")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"{place}: found {url!r}, expected a URL such as http://127.0.0.1:8000/v1")
    return parsed


def checked_headers(headers: Mapping[str, str], place: str, secrets_go: str) -> dict[str, str]:
    """A copy of `headers`, none of which is a secret by its name. Raises ConfigError."""
    for name in headers:
        if is_secret_name(name):
            raise ConfigError(f"{place}: {name!r} is a secret; {_instead(secrets_go)}")
    return dict(headers)


def _instead(secrets_go: str) -> str:
    return f"keep the secret in an environment variable, and name that in {secrets_go}"
