"""The fleet that a project's configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentkit.config import EMBEDDED, Config, UpstreamSettings, secret
from agentkit.errors import ConfigError
from agentkit.serve.engine import Endpoint
from agentkit.serve.fleet.fleet import Fleet
from agentkit.serve.fleet.state import Pace
from agentkit.serve.model import engine_settings, model_name, served_model
from agentkit.serve.upstream import Upstream


def fleet_of(
    config: Config,
    *,
    replicas: int | None = None,
    speculative: Mapping[str, Any] | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Fleet:
    """The fleet of `[tool.agentkit.serve.engines]` and `[tool.agentkit.upstreams]`, not yet started.

    `replicas`: instead of the configuration's; 0 starts no server, and then only what runs elsewhere answers.
    `speculative`: vLLM's `--speculative-config`, where `agentkit.serve.turbo` found that it pays.

    Raises:
        ConfigError: a key's environment variable is not set, or a URL is none.
        EngineError: the model cannot be had.
    """
    options = config.serve.engines
    count = options.replicas if replicas is None else replicas
    here = count or Path(options.model).is_dir() or (options.model == EMBEDDED and options.urls)
    model = served_model(options.model, on_progress=on_progress).folder if here else options.model
    name = options.name or model_name(options.model)
    key = secret(options.api_key_env, "[tool.agentkit.serve.engines]") or ""
    return Fleet(
        model,
        name=name,
        replicas=count,
        existing=[Endpoint(_checked(url), name, key) for url in options.urls],
        settings=engine_settings(options, count, speculative),
        elsewhere={it: upstream(it, settings) for it, settings in config.upstreams.items()},
        pace=Pace(drain=options.drain_time),
        on_progress=on_progress,
    )


def upstream(name: str, settings: UpstreamSettings) -> Upstream:
    """A model that is served elsewhere, as the router asks it. Raises ConfigError where its key is not set."""
    return Upstream(
        name=name,
        base_url=settings.base_url.rstrip("/"),
        model=settings.model,
        api_key=secret(settings.api_key_env, f"[tool.agentkit.upstreams.{name}]"),
        headers=tuple(settings.headers.items()),
        timeout=settings.timeout,
    )


def _checked(url: str) -> str:
    if not (url.startswith(("http://", "https://")) and url.rstrip("/").endswith("/v1")):
        raise ConfigError(f"[tool.agentkit.serve.engines]: urls: found {url!r}, expected a URL that ends in /v1")
    return url.rstrip("/")
