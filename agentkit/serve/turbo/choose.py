"""What `--turbo` comes to for a project."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentkit.config import Config
from agentkit.errors import AgentkitError
from agentkit.scenario import load
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.model import engine_settings, served_model, speculating
from agentkit.serve.turbo.payoff import Turbo, decide
from agentkit.serve.turbo.traffic import Sample, asking, golden_traffic, recorded_traffic
from agentkit.store import Store

_REQUESTS = 24
_EARLIER = 24
"""That a server has answered before it is measured: it guesses by what it wrote."""
_FEW = _EARLIER + 8
"""Recorded exchanges below which the scenarios' golden conversations are measured with instead."""


async def speculation(
    config: Config,
    store: Store,
    mode: str,
    *,
    replicas: int = 1,
    adapter: AdapterFolder | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any] | None:
    """vLLM's `--speculative-config` for `mode` (auto, on or off); None where there is to be no speculation.

    `auto` measures on what the store recorded, or where there is too little on the golden conversations of the
    project's scenarios, with the adapter where one is given, and tells what it found. Where it cannot measure it tells
    why, and there is none: whoever asks is about to serve without it as well.
    """
    if mode == "off":
        return None
    possible = speculating(tell)
    if possible is None or mode == "on":
        return possible
    try:
        samples, traffic = await _traffic(config, store, Path(config.scenarios))
        if not samples:
            tell("speculation stays off: there is neither recorded traffic nor a scenario with tools to measure on")
            return None
        found = await measured(config, samples, traffic, replicas=replicas, adapter=adapter, tell=tell)
    except (AgentkitError, OSError) as error:
        tell(f"speculation stays off: it could not be measured: {error}")
        return None
    tell(found.sentence)
    return possible if found.pays else None


async def measured(
    config: Config,
    samples: tuple[Sample, ...],
    traffic: str,
    *,
    replicas: int = 1,
    adapter: AdapterFolder | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Turbo:
    """Measure with the model and the settings of the project's engines, on what comes after the first samples.

    Raises:
        EngineError: vLLM is missing, or a server did not come up or did not answer.
        AdapterError: a server refused the adapter.
    """
    options = config.serve.engines
    model = await asyncio.to_thread(served_model, options.model, on_progress=tell)
    settings = engine_settings(options, replicas)
    earlier, samples = samples[:_EARLIER], samples[_EARLIER:]
    return await decide(model.folder, model.name, settings, samples, traffic, adapter, tell, earlier=earlier)


async def _traffic(config: Config, store: Store, scenarios: Path) -> tuple[tuple[Sample, ...], str]:
    recorded = await asyncio.to_thread(recorded_traffic, store, _EARLIER + _REQUESTS)
    if len(recorded) >= _FEW:
        return recorded, "recorded traffic"
    if not await asyncio.to_thread(scenarios.exists):
        return (), ""
    golden = await golden_traffic(await asyncio.to_thread(load, [scenarios]), asking(config), _EARLIER + _REQUESTS)
    return golden, "the scenarios' golden conversations"
