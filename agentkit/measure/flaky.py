"""Flakiness: a step that both passed and failed although nothing was different."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentkit.measure.graded import FAILED, PASSED, Cell


@dataclass(frozen=True, slots=True, eq=False)
class Occasion:
    """What one run says of one scenario and variant, and under which conditions."""

    run: str
    conditions: str
    """The same text where everything is the same (`agentkit.measure.history.conditions`)."""
    cell: Cell


@dataclass(frozen=True, slots=True)
class Flake:
    """One run's share in a step's history."""

    run: str
    passed: int
    failed: int
    flaky: int
    """Instances that both passed and failed within this run."""
    conditions: str
    """As of its occasion."""


@dataclass(frozen=True, slots=True)
class FlakyStep:
    """A step that passed and failed in the same instance under the same conditions."""

    step: str
    """`scenario/variant#step`."""
    flaky: int
    """Instances that did both, in one run or between runs."""
    repeated: int
    """Instances that were graded twice or more under the same conditions: those that could have."""
    history: tuple[Flake, ...]
    """Every run that graded the step, in the order given."""

    @property
    def rate(self) -> float:
        """Of the instances that could have."""
        return self.flaky / self.repeated


def flaky_steps(occasions: Iterable[Occasion]) -> tuple[FlakyStep, ...]:
    """The flaky steps, those of the highest rate first. Runs under other conditions are part of the history, but never
    make a step flaky: another agent may well differ."""
    return tuple(it for it in repeated_steps(occasions) if it.flaky)


def repeated_steps(occasions: Iterable[Occasion]) -> tuple[FlakyStep, ...]:
    """The steps that could have been flaky, since an instance of theirs was graded twice or more under the same
    conditions; in the same order."""
    cells: dict[str, list[Occasion]] = {}
    for it in occasions:
        cells.setdefault(it.cell.id, []).append(it)
    found = [step for together in cells.values() for step in _steps(together)]
    return tuple(sorted((it for it in found if it.repeated), key=lambda it: (-it.rate, -it.flaky, it.step)))


def _steps(occasions: Sequence[Occasion]) -> Iterator[FlakyStep]:
    """Every step of one scenario and variant."""
    for step in dict.fromkeys(step for it in occasions for step in it.cell.steps):
        history: list[Flake] = []
        alike: dict[str, list[_Graded]] = {}
        for it in occasions:
            if step not in it.cell.steps:
                continue
            grades = it.cell.grades[:, it.cell.steps.index(step)]
            known = (grades == PASSED) | (grades == FAILED)
            if not known.any():
                continue
            graded = _Graded(it.cell.instances[known], grades[known] == PASSED)
            passed = int(graded.passed.sum())
            history.append(Flake(it.run, passed, len(graded.passed) - passed, _counts([graded])[0], it.conditions))
            alike.setdefault(it.conditions, []).append(graded)
        counts = [_counts(found) for found in alike.values()]
        flaky, repeated = sum(both for both, _ in counts), sum(twice for _, twice in counts)
        yield FlakyStep(f"{occasions[0].cell.id}#{step}", flaky, repeated, tuple(history))


class _Graded(NamedTuple):
    """The trials of one occasion in which a step was graded."""

    instances: NDArray[np.int64]
    passed: NDArray[np.bool_]


def _counts(found: Sequence[_Graded]) -> tuple[int, int]:
    """Instances that both passed and failed, and those graded twice or more."""
    _, place, graded = np.unique(
        np.concatenate([it.instances for it in found]), return_inverse=True, return_counts=True
    )
    passed = np.bincount(place, weights=np.concatenate([it.passed for it in found]))
    return int(((passed > 0) & (passed < graded)).sum()), int((graded > 1).sum())
