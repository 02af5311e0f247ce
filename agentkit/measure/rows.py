"""From the rows of the store to the arrays that measuring reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from agentkit.measure.graded import FAILED, NOT_REACHED, PASSED, UNGRADED, Cell
from agentkit.records import GOLDEN, Fork, Status, Verdict
from agentkit.store import GradeRow

_CODES = {
    Status.PASSED: PASSED,
    Status.FAILED: FAILED,
    Status.NOT_REACHED: NOT_REACHED,
    Status.UNGRADED: UNGRADED,
}


@dataclass(slots=True)
class Tally:
    """What a run's rows count: those in which no step was due, which are in no cell, too."""

    played: int = 0
    invalid: Counter[str] = field(default_factory=Counter)
    """By the party at fault."""

    def over(self, rows: Iterable[GradeRow]) -> Iterator[GradeRow]:
        """The same rows, counted as they are read."""
        for row in rows:
            self.played += 1
            if row.verdict is Verdict.INVALID:
                self.invalid[str(row.fault)] += 1
            yield row


def cells(rows: Iterable[GradeRow]) -> list[Cell]:
    """One cell for each scenario and variant, in the order in which they were first played.

    A step that is void in every trial (a detour made it so, or the model shows no reasoning) is no step of its cell.
    One that merely was never reached stays, because then the cell's compounded accuracy is not known. A fork is in the
    cell of every variant that it counts for.
    """
    gathered: dict[tuple[str, str], _Gathered] = {}
    for row in rows:
        if row.fork is None:
            gathered.setdefault((row.scenario, row.variant), _Gathered()).add(row)
            continue
        for variant in row.fork.serves:
            gathered.setdefault((row.scenario, variant), _Gathered()).add_fork(row, row.fork, variant)
    for (scenario, _), it in gathered.items():
        it.complete(gathered.get((scenario, GOLDEN)))
    found = [it.cell(scenario, variant) for (scenario, variant), it in gathered.items()]
    return [cell for cell in found if cell is not None]


class _Gathered:
    """What was read of one cell so far, one byte a grade."""

    def __init__(self) -> None:
        self.skills: dict[str, str | None] = {}
        self.due: set[str] = set()
        self.grades: list[dict[str, int]] = []
        self.success: list[int] = []
        self.instances: list[int] = []
        self.invalid = 0
        self.forks: list[int] = []
        self.own = False
        """Whether forks of the variant's own tell which steps are due; else it differs from the golden path nowhere."""

    def add(self, row: GradeRow) -> None:
        for step in row.steps:
            self.skills.setdefault(step.step, step.skill)
            if step.turn is not None:
                self.due.add(step.step)
        if row.verdict is Verdict.INVALID:
            self.invalid += 1
            return
        self.grades.append({step.step: _CODES[step.status] for step in row.steps})
        self.success.append(UNGRADED if not row.gradable else PASSED if row.verdict is Verdict.SUCCESS else FAILED)
        self.instances.append(row.instance)

    def add_fork(self, row: GradeRow, fork: Fork, variant: str) -> None:
        """The steps of the one turn that was played; which others are due, only the variant's own forks can tell."""
        own = variant == fork.variant
        self.own = self.own or own
        played = [step for step in row.steps if step.turn == fork.turn]
        for step in row.steps if own else played:
            self.skills.setdefault(step.step, step.skill)
            if step.turn is not None:
                self.due.add(step.step)
        if row.verdict is Verdict.INVALID:
            self.invalid += own
            return
        self.grades.append({step.step: _CODES[step.status] for step in played})
        self.success.append(UNGRADED)
        self.instances.append(row.instance)
        self.forks.append(row.index)

    def complete(self, golden: _Gathered | None) -> None:
        """Of a variant without forks of its own: it is due what is due on the golden path."""
        if self.forks and not self.own and golden is not None:
            self.skills = {**golden.skills, **self.skills}
            self.due |= golden.due

    def cell(self, scenario: str, variant: str) -> Cell | None:
        """None where no step was due: nothing to compound."""
        steps = tuple(step for step in self.skills if step in self.due)
        if not steps:
            return None
        grades = [[trial.get(step, NOT_REACHED) for step in steps] for trial in self.grades]
        return Cell(
            scenario,
            variant,
            steps,
            np.array(grades, dtype=np.int8).reshape(len(grades), len(steps)),
            np.array(self.success, dtype=np.int8),
            np.array(self.instances, dtype=np.int64),
            self.invalid,
            tuple(self.skills[step] for step in steps),
            np.array(self.forks, dtype=np.int64) if self.forks else None,
        )
