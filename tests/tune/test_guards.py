"""Which other steps a training is held against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agentkit.records import RunId, Status, StepGrade, Trial, TrialKey
from agentkit.tune.guards import Guarded, guarded_steps
from tests.store.records import make_trial
from tests.tune.compiled import target


def trials(scenario: str, variant: str, **steps: tuple[int, int]) -> Iterator[Trial]:
    """One trial for each place: step → how many of how many are right."""
    for place in range(max(of for _, of in steps.values())):
        grades = tuple(
            StepGrade(name, Status.PASSED if place < right else Status.FAILED, "call", "")
            for name, (right, of) in steps.items()
            if place < of
        )
        yield replace(make_trial(RunId("r1"), 0), key=TrialKey(scenario, variant, place), steps=grades)


def test_guards_are_what_the_run_did_right_the_targets_scenarios_first() -> None:
    played = [
        *trials("point_of_sale/exchange", "golden", find=(5, 5), exchange=(3, 5)),
        *trials("point_of_sale/refund", "cash_instead", find_sale=(5, 5), greet=(4, 5), refund=(5, 5)),
        *trials("point_of_sale/refund", "golden", find_sale=(5, 5), refund=(5, 5)),
    ]
    assert guarded_steps(played, target("refund")) == [
        Guarded("point_of_sale/refund", "golden", "find_sale"),
        Guarded("point_of_sale/refund", "cash_instead", "greet"),
        Guarded("point_of_sale/exchange", "golden", "find"),
    ]


def test_what_was_never_graded_guards_nothing() -> None:
    grades = (StepGrade("late", Status.NOT_REACHED, "call", ""),)
    played = [replace(make_trial(RunId("r1"), 0), key=TrialKey("point_of_sale/refund", "golden", 1), steps=grades)]
    assert guarded_steps(played, target("refund")) == []
