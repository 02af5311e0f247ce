"""The step by itself: answers given a right history, held against each other by conversation."""

from __future__ import annotations

from typing import Any

import pytest

from agentkit.errors import UsageError
from agentkit.gate.proportions import mcnemar_exact, tango
from agentkit.tune.paired import compare_answers
from agentkit.tune.plays import compare_by_itself
from agentkit.tune.words import by_itself


def answer(conversation: str, step: str, right: bool) -> dict[str, Any]:
    return {"conversation": conversation, "prompt": f"{conversation}#{step}", "text": "", "right": right, "reason": ""}


def test_answers_are_compared_one_by_one() -> None:
    before, after = [True] * 10 + [False] * 30, [False] * 2 + [True] * 30 + [False] * 8
    it = compare_answers("step refund", before, after)
    found = it.difference
    assert (it.before, it.after, it.pairs, it.discordant) == (0.25, 0.75, 40, 24)
    assert (found.low, found.high) == pytest.approx(tuple(map(float, tango(2, 22, 40))))
    assert found.p_value == pytest.approx(float(mcnemar_exact(2, 22)))
    assert by_itself(it).startswith("by itself the step is better: step refund 25 % → 75 %, 50 points higher")
    assert by_itself(compare_answers("s", after, before)).startswith("by itself the step is worse")
    assert by_itself(compare_answers("s", before, before)).startswith("by itself the step is not shown to differ")


@pytest.mark.parametrize(("before", "after"), [([], []), ([True], [True, True])])
def test_no_answers_or_another_number_of_them_are_no_comparison(before: list[bool], after: list[bool]) -> None:
    with pytest.raises(UsageError, match=f"found {len(before)} answers before and {len(after)} after"):
        compare_answers("s", before, after)


def test_a_conversation_is_right_where_all_of_the_targets_steps_in_it_are() -> None:
    before = [answer("a", "look_up", True), answer("a", "refund", False), answer("b", "refund", True)]
    after = [answer("a", "look_up", True), answer("a", "refund", True), answer("b", "refund", True)]
    it = compare_by_itself("refund", before, after)
    assert (it.before, it.after, it.pairs) == (0.5, 1.0, 2)


def test_answers_of_other_conversations_are_not_compared() -> None:
    with pytest.raises(UsageError, match="not to the same prompts"):
        compare_by_itself("refund", [answer("a", "refund", True)], [answer("b", "refund", True)])
