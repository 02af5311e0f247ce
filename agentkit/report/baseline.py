"""What the page needs of a baseline: the verdict as `agentkit.gate` documents it, and both sides' grades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.measure import FAILED, PASSED, Cell, Summary
from agentkit.records import RunId, TrialKey


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The other side of a comparison."""

    agent: str
    agent_hash: str
    run: str
    created_at: str
    verdict: Mapping[str, Any]
    """The document of the gate's verdict."""
    summary: Summary
    outcomes: Mapping[TrialKey, bool | None]
    """Success of each of its trials, None where it was invalid or could not be judged."""
    stored: RunId | None = None
    """The run of the store whose conversations can be shown; None where the baseline is a file, which has none."""


@dataclass(frozen=True, slots=True)
class StepChange:
    """One step on both sides; accuracies are None where it was not graded."""

    scenario: str
    variant: str
    step: str
    base: float | None
    base_trials: int
    candidate: float | None
    candidate_trials: int

    @property
    def change(self) -> float | None:
        if self.base is None or self.candidate is None:
            return None
        return self.candidate - self.base


def step_changes(base: Summary, candidate: Summary) -> tuple[StepChange, ...]:
    """Every step of either side, the greatest fall first, what cannot be compared last."""
    sides = [{(it.scenario, it.variant, it.step): it for it in side.steps} for side in (base, candidate)]
    found = []
    for key in {**sides[1], **sides[0]}:
        before, after = sides[0].get(key), sides[1].get(key)
        found.append(
            StepChange(
                *key,
                before.accuracy if before else None,
                before.reached if before else 0,
                after.accuracy if after else None,
                after.reached if after else 0,
            )
        )
    return tuple(sorted(found, key=_order))


def outcomes(cells: Sequence[Cell], repeats: Sequence[Sequence[int]]) -> dict[TrialKey, bool | None]:
    """Success by trial; `repeats` gives, for each cell, the repeat of each of its trials."""
    said = {PASSED: True, FAILED: False}
    return {
        TrialKey(cell.scenario, cell.variant, instance, repeat): said.get(success)
        for cell, numbers in zip(cells, repeats, strict=True)
        for instance, repeat, success in zip(cell.instances.tolist(), numbers, cell.success.tolist(), strict=True)
    }


def _order(it: StepChange) -> tuple[bool, float, str, str, str]:
    return it.change is None, it.change or 0.0, it.scenario, it.variant, it.step
