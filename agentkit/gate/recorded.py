"""What one agent did, as far as comparing needs it: outcome and step results by trial, costs, seconds, hashes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agentkit.errors import AgentkitError
from agentkit.measure.graded import Floats, Ints

Key = tuple[int, int]
"""Instance and repeat: with scenario and variant, what a trial is."""

StepTags = tuple[tuple[str, ...], ...]
"""Of each step, its tags."""


def step_tags(tags: Mapping[str, tuple[str, ...]], scenario: str, variant: str, steps: Iterable[str]) -> StepTags:
    """Of each step: its own tags, its detour's and its scenario's, out of `Recorded.tags`."""
    around = (*tags.get(scenario, ()), *tags.get(f"{scenario}/{variant}", ()))
    return tuple((*around, *tags.get(f"{scenario}#{step}", ())) for step in steps)


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """One agent's trials of one scenario and variant, in the order in which they were played.

    Raises `AgentkitError` where the arrays do not fit each other or a trial stands twice.
    """

    scenario: str
    variant: str
    steps: tuple[str, ...]
    """Step ids in playing order, K of them; void steps are not among them."""
    instances: Ints
    """Shape [trials], like all that follow; valid trials only."""
    repeats: Ints
    success: NDArray[np.int8]
    """1, 0, or `UNGRADED`."""
    grades: NDArray[np.int8]
    """Shape [trials, K]: 1, 0, `NOT_REACHED` or `UNGRADED`."""
    costs: Floats
    """US dollars, NaN where unknown."""
    seconds: Floats
    """Of the whole conversation, NaN where unknown."""
    invalid: tuple[Key, ...] = ()
    """Trials that count neither way."""
    skills: tuple[str | None, ...] = ()
    """The skill of each step; empty where none names one."""

    def __post_init__(self) -> None:
        trials, steps = len(self.instances), len(self.steps)
        shapes = {"repeats": (trials,), "success": (trials,), "grades": (trials, steps)}
        for name, shape in (shapes | {"costs": (trials,), "seconds": (trials,)}).items():
            found = getattr(self, name).shape
            if found != shape:
                raise AgentkitError(f"{self.id}: {name} has shape {found}, expected {shape}")
        if len(self.skills) not in (0, steps):
            raise AgentkitError(f"{self.id}: {len(self.skills)} skills for {steps} steps")
        keys = [*self.keys, *self.invalid]
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise AgentkitError(f"{self.id}: instance {twice[0]}, repeat {twice[1]} stands twice")

    @property
    def id(self) -> str:
        return f"{self.scenario}/{self.variant}"

    @property
    def keys(self) -> list[Key]:
        return list(zip(self.instances.tolist(), self.repeats.tolist(), strict=True))

    @property
    def valid(self) -> int:
        return len(self.instances)


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Everything that one agent played in one run."""

    agent: str
    agent_hash: str
    deterministic: bool
    """Whether repeats of an instance count once."""
    seed: int
    run: str
    created_at: str
    cells: tuple[Played, ...]
    """In the order of scenario and variant."""
    scenarios: Mapping[str, str]
    """Scenario id to content hash."""
    versions: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tags of scenarios, of their own detours (`scenario/variant`) and of steps (`scenario#step`); of those that have
    any."""
    users: Mapping[str, str] | None = None
    """Simulated user to the hash of its definition; empty where the scenarios' own words were said, None where nobody
    wrote down who spoke."""
    judge: str | None = None
    """The model that judges rubrics; None where there was none, or nobody wrote it down."""

    def tags_of(self, scenario: str, variant: str, steps: Iterable[str]) -> StepTags:
        """Of each of a cell's steps: its own, its detour's and its scenario's."""
        return step_tags(self.tags, scenario, variant, steps)

    @property
    def invalid(self) -> int:
        return sum(len(cell.invalid) for cell in self.cells)

    @property
    def trials(self) -> int:
        return self.invalid + sum(cell.valid for cell in self.cells)
