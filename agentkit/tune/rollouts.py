"""The vLLM that writes the completions of a reinforcement, where the training program does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

from agentkit.config import EngineOptions
from agentkit.errors import UsageError
from agentkit.serve import Engine, ServedModel
from agentkit.serve.model import engine_settings
from agentkit.tune.phase import RESULT, ROLLOUT_KEY, ROLLOUT_URL, Phase

_RANKS: tuple[int, ...] = get_args(EngineOptions.model_fields["max_lora_rank"].annotation)


@contextmanager
def rollout_server(
    folder: Path, phase: Phase, model: ServedModel, options: EngineOptions, tell: Callable[[str], None]
) -> Iterator[Mapping[str, str]]:
    """Variables of the environment that name it to the training program, as long as the block runs; none, and no
    server, where the phase wants none or is done.

    Raises:
        UsageError: the adapter's rank is greater than vLLM takes.
        EngineError: it cannot be started.
    """
    if phase.generation != "vllm" or (folder / RESULT).is_file():
        yield {}
        return
    room = next((it for it in _RANKS if it >= phase.lora.rank), None)
    if room is None:
        raise UsageError(f"--rank: found {phase.lora.rank}, and vLLM takes {_RANKS[-1]} at most")
    settings = replace(engine_settings(options), max_loras=1, max_cpu_loras=1, max_lora_rank=room)
    with Engine(model.folder, name=model.name, settings=settings, on_progress=tell) as served:
        yield {ROLLOUT_URL: served.base_url, ROLLOUT_KEY: served.api_key}
