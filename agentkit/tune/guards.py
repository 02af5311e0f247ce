"""Other steps that the model does right already: never trained on, and asked as training goes, since it may cost them.

A training that repairs one step moves the whole model. What that costs elsewhere shows in these prompts long before
the proof, and decides how much of the training's change is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentkit.records import GOLDEN, Status, Trial
from agentkit.tune.target import Target

_RIGHT = 0.8
"""Share of its trials in which a step is right that is to be guarded."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A step in one variant of its scenario."""

    scenario: str
    variant: str
    step: str


def guarded_steps(trials: Iterable[Trial], target: Target) -> Sequence[Guarded]:
    """The steps that the run did right and that are not the target's, each in one variant: those of the target's own
    scenarios first, then the others'; the golden variant where it has the step."""
    right: Counter[Guarded] = Counter()
    graded: Counter[Guarded] = Counter()
    targets = {(it.scenario, it.step) for it in target.steps}
    for trial in trials:
        for grade in trial.steps:
            if grade.status in (Status.PASSED, Status.FAILED) and (trial.key.scenario, grade.step) not in targets:
                it = Guarded(trial.key.scenario, trial.key.variant, grade.step)
                graded[it] += 1
                right[it] += grade.status is Status.PASSED
    own = {it.scenario for it in target.steps}
    able = [it for it in graded if right[it] >= _RIGHT * graded[it]]
    able.sort(key=lambda it: (it.scenario not in own, it.scenario, it.variant != GOLDEN, it.variant))
    first: dict[tuple[str, str], Guarded] = {}
    for it in able:
        first.setdefault((it.scenario, it.step), it)
    return list(first.values())
