"""The model that a job trains: the agent's own, with the adapter that the agent has already in its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agentkit.config import EngineOptions
from agentkit.errors import UsageError
from agentkit.records import Run
from agentkit.serve import ServedModel
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.merged import merged_model, merged_name
from agentkit.serve.registered import find_adapters
from agentkit.store import Store
from agentkit.tune.phase import ADAPTER, STACKED
from agentkit.tune.target import chat_settings
from agentkit.tune.training import stack_adapters


@dataclass(frozen=True)
class TrainedModel:
    """Where a training starts from, and what its adapter becomes."""

    base: ServedModel
    """The model that adapters are for: the one that the agent is served with."""
    onto: AdapterFolder | None
    """The adapter that the agent has already, on top of which another is trained."""
    max_rank: int | None = None
    """Of an adapter that is to be served; None where any can be."""
    tell: Callable[[str], None] = lambda _: None

    @property
    def adapters(self) -> tuple[AdapterFolder, ...]:
        """Those that the agent has."""
        return () if self.onto is None else (self.onto,)

    @cached_property
    def start(self) -> ServedModel:
        """The weights that are trained: with the changes of the agent's adapter, merged at the first call."""
        if not self.adapters:
            return self.base
        merged = merged_model(self.base.folder, self.adapters, on_progress=self.tell)
        return ServedModel(merged_name(self.base.name, self.adapters), merged)

    def adapter_of(self, phase: Path) -> tuple[Path, str]:
        """The folder of what a phase came to, as an adapter of `base`: with the change of `onto`, so that it can take
        its place. And what it lacks of both, in words; '' where that is nothing."""
        if self.onto is None:
            return phase / ADAPTER, ""
        made = stack_adapters(phase, self.base.folder, self.onto.path, self.max_rank)
        lacks = "" if made["rank"] == made["whole"] else _CUT.format(below=self.onto.name, **made)
        return phase / STACKED, lacks


_CUT = (
    "With the change of {below} it would have the rank {whole}; of both, the {rank} largest directions of each layer "
    "are kept, {kept:.1%} of their squared norm, since servers take no more (max_lora_rank)."
)


def max_rank(engines: EngineOptions) -> int | None:
    """Of an adapter that the engines take; None where they take any, merged into the weights."""
    return None if engines.merge == "always" else engines.max_lora_rank


def check_rank(rank: int, engines: EngineOptions) -> None:
    """Whether the engines would take what is trained with this rank.

    Raises:
        UsageError: it is greater than they take.
    """
    most = max_rank(engines)
    if most is not None and rank > most:
        raise UsageError(
            f"--rank: found {rank}, and [tool.agentkit.serve.engines] max_lora_rank is {most}; set it to {rank} or "
            'more, or merge = "always"'
        )


def adapter_below(run: Run, folder: Path, store: Store) -> AdapterFolder | None:
    """The adapter that a run's agent has, verified; None where it has none. `folder`: where those are looked for that
    are not registered.

    Raises:
        UsageError: the run's agent is none whose model can be trained here.
        AdapterError: it is missing, or not what it was published as.
    """
    return next(iter(find_adapters(chat_settings(run).adapters, folder, store)), None)
