"""Flakiness: a step that both passed and failed although nothing was different."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

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
    seen: dict[str, _Seen] = {}
    for it in occasions:
        for column, step in enumerate(it.cell.step_ids):
            seen.setdefault(step, _Seen()).add(it, column)
    found = [FlakyStep(step, *it.counts(), tuple(it.history)) for step, it in seen.items()]
    return tuple(sorted((it for it in found if it.flaky), key=lambda it: (-it.rate, -it.flaky, it.step)))


class _Seen:
    """What was read of one step so far."""

    def __init__(self) -> None:
        self.results: dict[tuple[str, int], list[int]] = {}
        self.history: list[Flake] = []

    def add(self, it: Occasion, column: int) -> None:
        grades = it.cell.grades[:, column]
        graded = np.isin(grades, (PASSED, FAILED))
        if not graded.any():
            return
        mine: dict[int, list[int]] = {}
        for instance, grade in zip(it.cell.instances[graded].tolist(), grades[graded].tolist(), strict=True):
            mine.setdefault(instance, []).append(grade)
            self.results.setdefault((it.conditions, instance), []).append(grade)
        passed = int((grades == PASSED).sum())
        self.history.append(Flake(it.run, passed, int(graded.sum()) - passed, _both(mine.values()), it.conditions))

    def counts(self) -> tuple[int, int]:
        """Flaky instances, and those graded twice or more."""
        return _both(self.results.values()), sum(len(grades) > 1 for grades in self.results.values())


def _both(results: Iterable[list[int]]) -> int:
    return sum(PASSED in grades and FAILED in grades for grades in results)
