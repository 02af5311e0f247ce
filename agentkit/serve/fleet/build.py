"""The fleet that a project's configuration asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentkit.config import Config, EngineOptions, UpstreamSettings, secret
from agentkit.errors import ConfigError
from agentkit.serve.command import EngineSettings
from agentkit.serve.embedded import NAME, embedded_model
from agentkit.serve.engine import Endpoint
from agentkit.serve.fleet.fleet import Fleet
from agentkit.serve.fleet.state import Pace
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
        EngineError: the embedded model is asked for and not there.
    """
    options = config.serve.engines
    count = options.replicas if replicas is None else replicas
    model: Path | str = options.model
    if options.model == "embedded":
        model = embedded_model(on_progress=on_progress) if count or options.urls else NAME
    name = options.name or (NAME if options.model == "embedded" else Path(options.model).name)
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


def engine_settings(
    options: EngineOptions, replicas: int, speculative: Mapping[str, Any] | None = None
) -> EngineSettings:
    """How each of so many servers on this machine runs. Several share its cores."""
    cores = os.cpu_count() or 1
    room = options.live_adapters + 1 if options.live_adapters else 0
    return EngineSettings(
        max_model_len=options.max_model_len,
        max_num_seqs=options.max_num_seqs,
        kv_cache_gib=options.kv_cache_gib,
        start_timeout=options.start_timeout,
        threads=max(1, cores // replicas) if replicas > 1 else None,
        max_loras=room,
        max_cpu_loras=room,
        max_lora_rank=options.max_lora_rank,
        speculative=speculative,
        arguments=options.arguments,
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
