"""Takes secrets out of text and settings on their way into logs, errors, traces and the store.

Exact rather than eager: what it takes out are keys in the forms that providers issue, credentials in headers
and URLs, values given to a name that means a secret, and the values of such variables of the environment.
Every pattern reads a text once, so that a long hostile line costs no more than its length.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"

_SHORTEST = 8
"""A shorter value is not looked for in text: it would be found in innocent words."""

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:apikey|api_?key|key|token|secret|passphrase|credentials?|authorization|cookie)$|passw(?:or)?d$"
)
_PUBLIC_NAME = re.compile(
    r"^key$|(?:^|_)(?:cache|foreign|group|partition|primary|public|sort|trial|unique)_key$"
    r"|(?:^|_)(?:bos|cls|end|eos|image|mask|max|min|pad|sep|special|start|stop|unk)_token$"
)
_NAMES_VARIABLES = re.compile(r"_env$|^env_from$")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_TOKEN = r"[A-Za-z0-9._~+/=-]"
_IS = r"\\?[\"']?[ \t]{0,4}[:=][ \t]{0,4}"
_NAME = (
    r"(?:api[_-]?key|passw(?:or)?d|passphrase"
    r"|(?:access|account|auth|client|private|secret|signing)[_-]?(?:key|secret)"
    r"|(?:access|api|auth|bearer|github|gitlab|hf|refresh|session)[_-]?token)"
)
_AGAIN = re.escape(REDACTED)
"""What was redacted before stays as it is."""


def _quoted(quote: str, inside: str, escape: str, unclosed: str = "") -> str:
    """A value between quotes, or one whose closing quote is missing. That one ends with the line or with what
    `unclosed` leaves out, and begins with no mark that may stand behind the closing quote of a text."""
    closed, open_ = (rf"{plain}*(?:(?:{escape}){plain}*)*" for plain in (inside, unclosed or inside))
    return rf"{quote}(?:{closed}{quote}|(?=[^\s,;:.)}}\]>]){open_})"


_VALUE = "|".join(
    (
        _AGAIN,
        _quoted('"', r'[^"\\\n]', r"\\."),
        _quoted("'", r"[^'\\\n]", r"\\.", unclosed=r"[^'\"\\\n]"),
        # In JSON inside a string: a backslash before each quote, three before one that is part of the value.
        _quoted(r"\\\"", r'[^"\\\n]', r'\\[^"\\\n]|\\\\\\["\\]|\\\\(?!\\["\\])'),
        r"(?:[^\s\"'&,;<>})\]\\]+|\\(?![\"']))+",
    )
)
_COOKIE = r"(?:\"[^\s\"',;\\]*\"|[^\s\"';\\]*)"
_PATTERNS = tuple(
    (hints.split(), re.compile(pattern), replacement)
    for hints, pattern, replacement in (
        # user:password@ of a URL, up to the last @ before the path.
        ("://", r"(?<=://)[^/\s?#\"'<>]{1,1024}@", f"{REDACTED}@"),
        # Authorization: Bearer …, in a header or quoted from one.
        (
            "authorization",
            rf"(?i)(\bauthorization{_IS}\\?[\"']?(?:[a-z]{{1,16}}[ \t]{{1,4}})?)(?:{_AGAIN}|{_TOKEN}{{4,}})",
            rf"\1{REDACTED}",
        ),
        (
            "bearer",
            rf"(?i)(\bbearer[ \t]{{1,4}})(?=[A-Za-z._~+/=-]{{0,512}}[0-9]){_TOKEN}{{8,}}",
            rf"\1{REDACTED}",
        ),
        # Cookie: name=value; name=value, in a header or quoted from one.
        (
            "cookie",
            rf"(?i)(\bcookie{_IS}\\?[\"']?)[\w.!#$%&*+^|~-]{{1,128}}={_COOKIE}"
            rf"(?:;[ \t]{{0,4}}[^\s=;\"'\\]+(?:={_COOKIE})?)*",
            rf"\1{REDACTED}",
        ),
        # Parameters of a URL.
        ("? & ;", r"(?i)([?&;](?:key|token|sig|signature|secret)=)[^&;\s#\"'<>]+", rf"\1{REDACTED}"),
        # name = value, name: value, "name": "value".
        ("key secret passw passphrase token", rf"(?i)({_NAME}{_IS})(?:{_VALUE})", rf"\1{REDACTED}"),
        # The forms in which keys are issued, and JSON web tokens.
        (
            "sk- sk_ rk- rk_ pk- pk_ xai- nvapi- glpat-",
            r"(?<![A-Za-z0-9])(?:g?sk|rk|pk|xai|nvapi|glpat)[-_][A-Za-z0-9_-]{16,}",
            REDACTED,
        ),
        (
            "gho_ ghp_ ghs_ ghu_ ghr_ github_pat_ hf_ pypi- r8_",
            r"(?<![A-Za-z0-9])(?:gh[oprsu]_|github_pat_|hf_|pypi-|r8_)[A-Za-z0-9_-]{16,}",
            REDACTED,
        ),
        ("akia asia", r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", REDACTED),
        ("aiza", r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}", REDACTED),
        ("xox", r"(?<![A-Za-z0-9])xox[abeprs]-[A-Za-z0-9-]{10,}", REDACTED),
        (
            "eyj",
            r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
            REDACTED,
        ),
    )
)
"""Hints, pattern, replacement. A text that holds none of the hints, in any case, is not searched at all."""


_SECRET_FIELD = re.compile(rf"(?i)(?:{_NAME}|authorization)\Z")


@lru_cache(maxsize=1024)
def is_secret_field(name: str) -> bool:
    """Whether `redact` takes out what a text says is so named: `password`, `accessToken`. It knows fewer names than
    `is_secret_name`, which is asked of settings: in data, a `token` or a `key` is often a word or a column."""
    return _SECRET_FIELD.search(name) is not None


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a setting, header or variable so named is secret: `SOME_API_KEY`, `X-Api-Key`, `dbPassword`."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    return _SECRET_NAME.search(plain) is not None and _PUBLIC_NAME.search(plain) is None


def names_variable(name: str) -> bool:
    """Whether what stands in the place of an environment variable's name may be shown as such: what cannot be one, or
    looks like a secret, may be the secret itself."""
    return _VARIABLE.fullmatch(name) is not None and redact(name) == name


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without secrets: those of `secrets`, those of the environment, and whatever looks like one."""
    for secret in sorted({*secrets, *_environment()}, key=len, reverse=True):
        if secret:
            text = text.replace(secret, REDACTED)
    lowered = text.lower()
    for hints, pattern, replacement in _PATTERNS:
        if any(hint in lowered for hint in hints):
            text = pattern.sub(replacement, text)
    return text


def redact_mapping(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `settings`, at any depth, in which no secret is left; None and booleans are never secret, nor are the
    names of variables where such are expected (`header_env`, `api_key_env`)."""
    return {name: _redact_setting(name, value) for name, value in settings.items()}


def _redact_setting(name: str, value: Any) -> Any:
    if _NAMES_VARIABLES.search(name) and isinstance(value, Mapping):
        return {key: _redact_variable(variable) for key, variable in value.items()}
    if name.endswith("_env") and is_secret_name(name.removesuffix("_env")):
        return None if value is None else _redact_variable(value)
    if is_secret_name(name) and value is not None and not isinstance(value, bool):
        return REDACTED
    return _redact_value(value)


def _redact_variable(name: Any) -> str:
    return name if isinstance(name, str) and names_variable(name) else REDACTED


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return redact_mapping(value)
    if isinstance(value, list | tuple):
        return [_redact_value(item) for item in value]
    return value


def _environment() -> Iterable[str]:
    return (value for name, value in os.environ.items() if len(value) >= _SHORTEST and is_secret_name(name))
