from collections.abc import Mapping
from typing import Any

import pytest

from agentkit.grade.calls import align, compare
from agentkit.records import ToolCall
from agentkit.scenario import Call

DEFAULTS: dict[str, dict[str, Any]] = {"refund": {"reason": "none"}}


def normalize(name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**DEFAULTS.get(name, {}), **arguments}


def call(name: str, match: str = "exact", **arguments: Any) -> Call:
    return Call.model_validate({"name": name, "arguments": arguments, "match": match})


def made(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(f"id-{name}", name, arguments)


def test_a_default_counts_as_given() -> None:
    expected = call("refund", sale="S-1")
    assert not compare(expected, made("refund", sale="S-1"), normalize).problems
    assert not compare(expected, made("refund", sale="S-1", reason="none"), normalize).problems
    assert compare(expected, made("refund", sale="S-1", reason="rude"), normalize).problems


@pytest.mark.parametrize("match", ["exact", "subset"])
def test_what_must_be_absent_is_so_though_it_has_a_default(match: str) -> None:
    expected = call("refund", match, reason={"absent": True})
    assert not compare(expected, made("refund"), normalize).problems
    for given in ("none", "rude"):
        found = compare(expected, made("refund", reason=given), normalize)
        assert found.problems == (f"reason: expected nothing, found {given}",)


def test_subset_lets_other_arguments_be() -> None:
    assert not compare(call("f", "subset", a=1), made("f", a=1, b=2), normalize).problems
    assert compare(call("f", "exact", a=1), made("f", a=1, b=2), normalize).problems


def test_the_score_grows_with_what_is_right() -> None:
    expected = call("f", a=1, b=2)
    scores = [
        compare(expected, candidate, normalize).score
        for candidate in (made("g", a=1, b=2), made("f", a=0, b=0), made("f", a=1, b=0), made("f", a=1, b=2))
    ]
    assert scores == sorted(scores)
    assert scores[0] == 0
    assert scores[-1] == 1


def test_arguments_that_are_no_json_object() -> None:
    broken = ToolCall("1", "f", None, raw='{"a": ')
    assert "not a JSON object" in compare(call("f", a=1), broken, normalize).problems[0]


@pytest.mark.parametrize("order", ["strict", "any", "subset"])
def test_a_call_left_out_fails_only_its_own_step(order: Any) -> None:
    expected = [call("a", x=1), call("b", x=2), call("c", x=3)]
    found = align(expected, [made("a", x=1), made("c", x=3)], order, normalize)
    assert found.pairs == {0: 0, 2: 1}
    assert not found.charged


def test_swapped_calls_matter_only_where_order_does() -> None:
    expected, actual = [call("a"), call("b")], [made("b"), made("a")]
    assert len(align(expected, actual, "strict", normalize).pairs) == 1
    assert align(expected, actual, "any", normalize).pairs == {0: 1, 1: 0}


def test_extra_calls_are_charged_to_the_step_that_comes_next() -> None:
    expected, actual = [call("a"), call("b")], [made("a"), made("x"), made("b"), made("y")]
    assert align(expected, actual, "strict", normalize).charged == {1: [1, 3]}
    assert align(expected, actual, "any", normalize).charged == {1: [1, 3]}
    subset = align(expected, actual, "subset", normalize)
    assert subset.charged == {}
    assert subset.unmatched == [1, 3]


def test_the_assignment_with_most_matches_is_chosen() -> None:
    expected = [call("f", x={"any": True}), call("f", x=1)]
    assert align(expected, [made("f", x=1), made("f", x=2)], "subset", normalize).pairs == {0: 1, 1: 0}


def test_a_wrong_argument_is_paired_by_name_for_the_reason() -> None:
    found = align([call("f", x=1)], [made("f", x=2)], "subset", normalize)
    assert found.pairs == {0: 0}
    assert found.unmatched == []


def test_a_result_is_expected_of_the_answer() -> None:
    expected = Call.model_validate({"name": "count", "result": {"equals": {"n": 2}}})
    assert not compare(expected, made("count"), normalize).problems, "nothing is known of the answer"
    assert not compare(expected, made("count"), normalize, {"n": 2}).problems
    found = compare(expected, made("count"), normalize, {"n": 1})
    assert found.check == "call.result"
    assert 0 < found.score < 1


def test_equal_calls_are_told_apart_by_their_answers() -> None:
    first, second = (Call.model_validate({"name": "count", "result": n}) for n in (1, 2))
    assert align([second, first], [made("count")] * 2, "subset", normalize, [1, 2]).pairs == {0: 1, 1: 0}
