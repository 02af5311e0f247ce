"""`assert_passed` with steps named: every valid trial must have passed each of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from agentkit.pytest_plugin.python import Outcome
from agentkit.records import GOLDEN, Status, Trial, TrialKey, Verdict
from tests.report.report_records import RUN, trial


def outcome(*refunds: Status) -> Outcome:
    """Of trials whose step `refund` ended so, and the one before well."""
    loaded: Any = SimpleNamespace(id="shop/refund")
    return Outcome(RUN, loaded, GOLDEN, tuple(_trial(index, status) for index, status in enumerate(refunds)))


def _trial(index: int, refund: Status) -> Trial:
    played = trial(index, TrialKey("shop/refund", GOLDEN, index), fails=refund is not Status.PASSED)
    steps = tuple(replace(it, status=refund) if it.step == "refund" else it for it in played.steps)
    return replace(played, steps=steps)


def test_a_step_that_one_trial_of_three_came_to_is_no_pass() -> None:
    found = outcome(Status.NOT_REACHED, Status.NOT_REACHED, Status.PASSED)
    found.assert_passed("asks_first")
    with pytest.raises(AssertionError, match=r"COULD NOT JUDGE .*: refund was reached in 1 of 3 trials"):
        found.assert_passed("asks_first", "refund")


def test_what_counts_is_what_became_of_the_step_in_each_valid_trial() -> None:
    outcome(Status.PASSED, Status.PASSED).assert_passed("refund")
    with pytest.raises(AssertionError, match=r"FAILED .*: 1 of 3 trials fail at refund"):
        outcome(Status.PASSED, Status.FAILED, Status.NOT_REACHED).assert_passed("refund")
    with pytest.raises(AssertionError, match=r"COULD NOT JUDGE .*: refund was never reached"):
        outcome(Status.NOT_REACHED, Status.NOT_REACHED).assert_passed("refund")
    found = outcome(Status.PASSED, Status.NOT_REACHED)
    invalid = replace(found.trials[1], verdict=Verdict.INVALID)
    replace(found, trials=(found.trials[0], invalid)).assert_passed("refund")
