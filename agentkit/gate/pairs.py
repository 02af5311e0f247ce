"""Two sides laid beside each other: true pairs where both played the same trials, otherwise two independent samples.

The unit is what could as well have come from the other version: a pair, all repeats of an instance together, or a
trial.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from agentkit.gate.recorded import Key, Played, Recorded, StepTags
from agentkit.measure import FAILED, PASSED
from agentkit.measure.graded import Floats, Ints

PASSED_COLUMN, GRADED_COLUMN, COST_COLUMN, SECONDS_COLUMN, TRIALS_COLUMN = range(5)
"""Columns of a side's sums; then K columns of passes and K of grades, one for each step."""
FIRST_STEP = 5
_SHARED = 0.5
"""Share of the smaller side's trials that both must have played for the pairs alone to be compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One version's trials of a scenario and variant as sums over its units, in playing order."""

    sums: Floats
    """Shape [units, 5 + 2K]: successes, judged outcomes, cost, seconds, trials, then passes and grades of each step."""
    trials: int
    instances: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Shape [units]: the instance of each, which other variants may have played as well. Empty for pairs, and where
    repeats of the only instance are the units."""

    @property
    def total(self) -> Floats:
        return np.asarray(self.sums.sum(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """One scenario and variant of both versions."""

    scenario: str
    variant: str
    steps: tuple[str, ...]
    skills: tuple[str | None, ...]
    tags: StepTags
    paired: bool
    """Whether row u of both sides is one pair; what only one side could be graded on is then in neither."""
    repeated: bool
    """Whether a unit holds several trials."""
    base: Side
    candidate: Side
    order: Ints
    """Shape [candidate's units]: place of the unit's instance in what the candidate played, over all scenarios."""
    left_out: int
    """Valid trials of either side that are not compared, because the other side has no such trial."""
    gone: tuple[str, ...] = ()
    """Steps of the baseline that the candidate does not have."""

    @property
    def id(self) -> str:
        return f"{self.scenario}/{self.variant}"

    @property
    def step_ids(self) -> tuple[str, ...]:
        return tuple(f"{self.id}#{step}" for step in self.steps)


def match(base: Recorded, candidate: Recorded, *, without: Collection[str] = ()) -> tuple[Matched, ...]:
    """Every scenario and variant that both played, in the order of their names.

    `without` names steps (`scenario/variant#step`) to leave out on both sides, as quarantine does.
    """
    theirs = {(cell.scenario, cell.variant): cell for cell in candidate.cells}
    places: dict[int, int] = {}
    for cell in candidate.cells:
        for place, instance in enumerate(dict.fromkeys(cell.instances.tolist())):
            places.setdefault(instance, place)  # a scenario whose rows are played in order has seeds of its own
    return tuple(
        _match(cell, theirs[cell.scenario, cell.variant], base, candidate, without, places)
        for cell in sorted(base.cells, key=lambda cell: (cell.scenario, cell.variant))
        if (cell.scenario, cell.variant) in theirs
    )


def _match(
    zero: Played,
    one: Played,
    base: Recorded,
    candidate: Recorded,
    without: Collection[str],
    places: Mapping[int, int],
) -> Matched:
    steps = tuple(step for step in zero.steps if f"{zero.id}#{step}" not in without)
    rows0, rows1 = _rows(zero, base.deterministic), _rows(one, candidate.deterministic)
    shared = [key for key in rows1 if key in rows0]  # in the candidate's order
    paired = len(shared) > 0 and len(shared) >= _SHARED * min(len(rows0), len(rows1))
    keys0, keys1 = (shared, shared) if paired else (list(rows0), list(rows1))
    sums0 = _sums(zero, [rows0[key] for key in keys0], steps)
    sums1 = _sums(one, [rows1[key] for key in keys1], steps)
    if paired:
        _only_both(sums0, sums1, len(steps))
    by_instance = _by_instance(keys0, keys1)
    units0, units1 = (_units(sums, keys, by_instance) for sums, keys in ((sums0, keys0), (sums1, keys1)))
    skills = dict(zip(zero.steps, zero.skills, strict=True)) if zero.skills else {}
    return Matched(
        zero.scenario,
        zero.variant,
        steps,
        tuple(skills.get(step) for step in steps),
        base.tags_of(zero.scenario, zero.variant, steps),
        paired,
        len(units0) < len(keys0) or len(units1) < len(keys1),
        _side(units0, keys0, not paired and by_instance),
        _side(units1, keys1, not paired and by_instance),
        _order(keys1, len(units1), places),
        len(rows0) + len(rows1) - len(keys0) - len(keys1),
        tuple(step for step in steps if step not in one.steps),
    )


def _rows(cell: Played, deterministic: bool) -> dict[Key, int]:
    """Where each trial stands; of a deterministic agent's repeats only the first, for the others say nothing new."""
    rows: dict[Key, int] = {}
    seen: set[int] = set()
    for row, (instance, repeat) in enumerate(cell.keys):
        if deterministic and instance in seen:
            continue
        seen.add(instance)
        rows[instance, 0 if deterministic else repeat] = row
    return rows


def _sums(cell: Played, rows: Sequence[int], steps: Sequence[str]) -> Floats:
    place = {step: column for column, step in enumerate(cell.steps)}
    sums = np.zeros((len(rows), FIRST_STEP + 2 * len(steps)))
    success = cell.success[list(rows)]
    sums[:, PASSED_COLUMN] = success == PASSED
    sums[:, GRADED_COLUMN] = (success == PASSED) | (success == FAILED)
    sums[:, COST_COLUMN] = cell.costs[list(rows)]
    sums[:, SECONDS_COLUMN] = cell.seconds[list(rows)]
    sums[:, TRIALS_COLUMN] = 1
    for k, step in enumerate(steps):
        if step in place:
            grades = cell.grades[list(rows), place[step]]
            sums[:, FIRST_STEP + k] = grades == PASSED
            sums[:, FIRST_STEP + len(steps) + k] = (grades == PASSED) | (grades == FAILED)
    return sums


def _only_both(zero: Floats, one: Floats, steps: int) -> None:
    """Forget, in place, what only one trial of a pair could be graded on."""
    for passed, graded in [
        (PASSED_COLUMN, GRADED_COLUMN),
        *((FIRST_STEP + k, FIRST_STEP + steps + k) for k in range(steps)),
    ]:
        alone = zero[:, graded] != one[:, graded]
        for side in (zero, one):
            side[np.ix_(alone, [passed, graded])] = 0


def _by_instance(zero: Sequence[Key], one: Sequence[Key]) -> bool:
    """Whether repeats of an instance make one unit: always, but where both sides played one and the same instance."""
    instances = {instance for instance, _ in zero}, {instance for instance, _ in one}
    return not (instances[0] == instances[1] and len(instances[0]) == 1)


def _units(sums: Floats, keys: Sequence[Key], by_instance: bool) -> Floats:
    """Sums over the trials of each instance, in order of first appearance."""
    instances = [instance for instance, _ in keys]
    if not by_instance or len(set(instances)) == len(instances):
        return sums
    order = {instance: unit for unit, instance in enumerate(dict.fromkeys(instances))}
    position: Ints = np.array([order[instance] for instance in instances], dtype=np.int64)
    units = np.zeros((len(order), sums.shape[1]))
    np.add.at(units, position, sums)
    return units


def _side(units: Floats, keys: Sequence[Key], by_instance: bool) -> Side:
    if not by_instance:
        return Side(units, len(keys))
    return Side(units, len(keys), np.array(list(dict.fromkeys(instance for instance, _ in keys)), dtype=np.int64))


def _order(keys: Sequence[Key], units: int, places: Mapping[int, int]) -> Ints:
    instances = [instance for instance, _ in keys]
    if units < len(instances):
        instances = list(dict.fromkeys(instances))
    return np.array([places[instance] for instance in instances], dtype=np.int64)
