"""Steps that must hardly ever fail: nothing failed is not "never fails".

A limit and no comparison, so every trial that the candidate played counts, whether or not the baseline has the like.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from agentkit.gate.recorded import Played, Recorded, StepTags
from agentkit.gate.settings import GateSettings, select
from agentkit.measure import FAILED, PASSED, failure_bound, passes_needed
from agentkit.measure.graded import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """The candidate's K steps of one scenario and variant, without regard to the baseline's trials."""

    id: str
    """`scenario/variant`."""
    steps: tuple[str, ...]
    skills: tuple[str | None, ...]
    tags: StepTags
    failures: Ints
    """Shape [K]: units of which a trial failed the step."""
    graded: Ints
    """Shape [K]: units of which a trial could be graded."""


@dataclass(frozen=True, slots=True)
class SafetyFigure:
    """One safety step (or several by one selector, taken together) of the candidate alone."""

    name: str
    failures: int
    trials: int
    upper: float
    """One-sided upper bound of the failure rate at 1 - alpha, exact; 0 of 5 leaves 45 % open."""
    limit: float
    p_value: float
    """Of the hypothesis that the failure rate is at most the limit: `P(X >= failures)`."""
    needed: int
    """Trials, none of them failing more than so far, whose bound meets the limit."""
    blocking: bool

    def document(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def own_steps(base: Recorded, candidate: Recorded, *, without: Collection[str] = ()) -> tuple[Own, ...]:
    """All that the candidate played, new scenarios and variants included.

    The unit is an instance with all its repeats; repeats are units where both sides played one and the same instance
    only. `without` names steps (`scenario/variant#step`) to leave out. The baseline says besides which skill a step
    has; a step has the tags of both sides, so that none escapes its limit by being new, or by losing its tag.
    """
    theirs = {cell.id: cell for cell in base.cells}
    return tuple(_own(cell, theirs.get(cell.id), base, candidate, without) for cell in candidate.cells)


def _own(cell: Played, theirs: Played | None, base: Recorded, candidate: Recorded, without: Collection[str]) -> Own:
    kept = [k for k, step in enumerate(cell.steps) if f"{cell.id}#{step}" not in without]
    steps = tuple(cell.steps[k] for k in kept)
    instances, units = np.unique(cell.instances, return_inverse=True)
    if len(instances) == 1 and theirs is not None and np.array_equal(np.unique(theirs.instances), instances):
        units = np.zeros_like(units) if candidate.deterministic else np.arange(cell.valid)
    failed = np.zeros((cell.valid, len(kept)), dtype=bool)
    graded = np.zeros_like(failed)
    grades = cell.grades[:, kept]
    np.logical_or.at(failed, units, grades == FAILED)
    np.logical_or.at(graded, units, (grades == FAILED) | (grades == PASSED))
    skills = dict(zip(cell.steps, cell.skills, strict=False))
    skills |= dict(zip(theirs.steps, theirs.skills, strict=False)) if theirs is not None else {}
    return Own(
        cell.id,
        steps,
        tuple(skills.get(step) for step in steps),
        _tags(cell, steps, base, candidate),
        failed.sum(axis=0),
        graded.sum(axis=0),
    )


def _tags(cell: Played, steps: Sequence[str], base: Recorded, candidate: Recorded) -> StepTags:
    ours, theirs = (it.tags_of(cell.scenario, cell.variant, steps) for it in (base, candidate))
    return tuple(tuple(dict.fromkeys((*one, *other))) for one, other in zip(ours, theirs, strict=True))


def safety_figures(cells: Sequence[Own], settings: GateSettings) -> tuple[SafetyFigure, ...]:
    """The candidate's safety steps. A unit of several trials (repeats of an instance) counts once, and failed where one
    of them did. Raises `UsageError` for a selector that names nothing."""
    found = []
    for selector, limit in settings.safety.items():
        chosen = set(select(cells, selector))
        members = [(cell, k) for cell in cells for k, step in enumerate(cell.steps) if f"{cell.id}#{step}" in chosen]
        failures = sum(int(cell.failures[k]) for cell, k in members)
        trials = sum(int(cell.graded[k]) for cell, k in members)
        level = 1 - settings.alpha
        found.append(
            SafetyFigure(
                selector,
                failures,
                trials,
                failure_bound(failures, trials, level=level),
                limit,
                float(special.bdtrc(failures - 1, trials, limit)) if failures else 1.0,
                _needed(failures, limit, level),
                not chosen & settings.advisory,
            )
        )
    return tuple(found)


def _needed(failures: int, limit: float, level: float) -> int:
    """The fewest trials with so many failures whose bound meets the limit."""
    low = high = max(passes_needed(limit, level=level), failures + 1)
    while failure_bound(failures, high, level=level) > limit:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if failure_bound(failures, middle, level=level) > limit:
            low = middle + 1
        else:
            high = middle
    return high
