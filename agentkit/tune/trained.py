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
from agentkit.tune.phase import ADAPTER
from agentkit.tune.target import chat_settings
from agentkit.tune.training import stack_adapters


@dataclass(frozen=True)
class TrainedModel:
    """Where a training starts from, and what its adapter becomes."""

    base: ServedModel
    """The model that adapters are for: the one that the agent is served with."""
    onto: AdapterFolder | None
    """The adapter that the agent has already, on top of which another is trained."""
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

    def adapter_of(self, phase: Path) -> Path:
        """The folder of what a phase came to, as an adapter of `base`: with the change of `onto`, so that it can take
        its place."""
        return phase / ADAPTER if self.onto is None else stack_adapters(phase, self.base.folder, self.onto.path)


def check_rank(rank: int, onto: AdapterFolder | None, engines: EngineOptions) -> None:
    """Whether the engines would take what is trained with this rank, on top of the adapter `onto` if there is one.

    Raises:
        UsageError: its rank would be greater than they take.
    """
    whole = rank + (0 if onto is None else onto.rank)
    if whole > engines.max_lora_rank and engines.merge != "always":
        more = f" on top of the {onto.rank} of {onto.name}, which add up" if onto is not None else ""
        raise UsageError(
            f"--rank: found {rank}{more}, and [tool.agentkit.serve.engines] max_lora_rank is "
            f'{engines.max_lora_rank}; set it to {whole} or more, or merge = "always"'
        )


def adapter_below(run: Run, folder: Path, store: Store) -> AdapterFolder | None:
    """The adapter that a run's agent has, verified; None where it has none. `folder`: where those are looked for that
    are not registered.

    Raises:
        UsageError: the run's agent is none whose model can be trained here.
        AdapterError: it is missing, or not what it was published as.
    """
    return next(iter(find_adapters(chat_settings(run).adapters, folder, store)), None)
