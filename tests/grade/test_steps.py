from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from agentkit.config import Sampling
from agentkit.errors import BudgetExhausted
from agentkit.grade import Judge, TurnRecord, grade_outcome, grade_turn, lookup, preference
from agentkit.grade.match import MISSING
from agentkit.llm import ChatRequest, FakeChat
from agentkit.records import Message, Party, Status, StepGrade, ToolCall
from agentkit.scenario import Check, PlayTurn, Reply, Step


def as_given(name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return arguments


def steps(*forms: dict[str, Any]) -> tuple[Step, ...]:
    return tuple(Step.model_validate(form) for form in forms)


async def graded(
    wanted: tuple[Step, ...], *messages: Message, state: Any = None, judge: Judge | None = None, order: Any = "subset"
) -> dict[str, StepGrade]:
    turn = PlayTurn("t", "hello", order, wanted)
    record = TurnRecord(0, turn, (Message("user", "hello"), *messages), state, "turn-span")
    return {grade.step: grade for grade in await grade_turn(record, as_given, judge)}


def asked(name: str, **arguments: Any) -> tuple[Message, Message]:
    call = ToolCall("c1", name, arguments)
    return (
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "{}", tool_call_id="c1", name=name, span_id="tool-span"),
    )


async def test_the_right_call_with_another_answer() -> None:
    wanted = steps({"id": "a", "call": {"name": "f", "arguments": {"x": 1}, "result": {"equals": {"n": 1}}}})
    grade = (await graded(wanted, *asked("f", x=1)))["a"]
    assert (grade.status, grade.check) == (Status.FAILED, "call.result")
    assert grade.reason == "f answered otherwise: expected {'n': 1}, found {}"
    assert grade.expected == {"name": "f", "arguments": {"x": "1"}, "result": "{'n': 1}"}


async def test_calls_with_the_same_id_have_their_own_answers() -> None:
    wanted = steps(
        {"id": "a", "call": {"name": "f", "arguments": {"x": 1}, "result": {"equals": {}}}},
        {"id": "b", "call": {"name": "f", "arguments": {"x": 2}, "result": {"equals": {"n": 2}}}},
    )
    first, (call, answer) = asked("f", x=1), asked("f", x=2)
    second = (call, replace(answer, content='{"n": 2}', span_id="another-span"))
    grades = await graded(wanted, *first, *second)
    assert {id: (it.status, it.span_id) for id, it in grades.items()} == {
        "a": (Status.PASSED, "tool-span"),
        "b": (Status.PASSED, "another-span"),
    }


async def test_an_answer_that_was_disturbed_counts_as_it_would_have_been() -> None:
    wanted = steps({"id": "a", "call": {"name": "f", "result": {"equals": {"n": 1}}}})
    call, answer = asked("f")
    planted = replace(answer, content="timeout", original='{"n": 1}')
    assert (await graded(wanted, call, planted))["a"].status is Status.PASSED


async def test_a_call_is_graded_on_the_span_that_met_it() -> None:
    wanted = steps({"id": "a", "call": {"name": "f", "arguments": {"x": 1}}})
    grade = (await graded(wanted, *asked("f", x=1)))["a"]
    assert (grade.status, grade.span_id, grade.score, grade.fault) == (Status.PASSED, "tool-span", 1.0, None)


async def test_a_step_that_nothing_met_is_graded_on_the_turn() -> None:
    wanted = steps({"id": "a", "call": {"name": "f"}})
    grade = (await graded(wanted, Message("assistant", "no")))["a"]
    assert (grade.status, grade.span_id, grade.fault) == (Status.FAILED, "turn-span", Party.AGENT)
    assert "no call was made" in grade.reason


async def test_the_failed_call_says_what_was_expected_and_found() -> None:
    wanted = steps({"id": "a", "call": {"name": "f", "arguments": {"x": 1, "y": {"pattern": "b+"}}}})
    grade = (await graded(wanted, *asked("f", x=1, y="c")))["a"]
    assert grade.check == "call.arguments"
    assert grade.reason == "y: expected text like /b+/, found c"
    assert grade.found == {"name": "f", "arguments": {"x": 1, "y": "c"}}
    assert 0 < (grade.score or 0) < 1


async def test_an_unexpected_call_in_a_strict_turn() -> None:
    wanted = steps({"id": "a", "call": {"name": "f", "arguments": {}}})
    messages = (*asked("g"), Message("assistant", "", tool_calls=(ToolCall("c2", "f", {}),)))
    grade = (await graded(wanted, *messages, order="strict"))["a"]
    assert (grade.status, grade.check) == (Status.FAILED, "call.extra")


@pytest.mark.parametrize(("no_call", "passed"), [("any", False), ("other", False), (["g"], False), (["h"], True)])
async def test_no_call(no_call: Any, passed: bool) -> None:
    wanted = steps({"id": "f", "call": {"name": "f"}}, {"id": "quiet", "no_call": no_call})
    messages = (*asked("g"), Message("assistant", "", tool_calls=(ToolCall("c2", "f", {}),)))
    assert ((await graded(wanted, *messages))["quiet"].status is Status.PASSED) is passed


async def test_other_means_beyond_the_expected_calls() -> None:
    wanted = steps({"id": "f", "call": {"name": "f"}}, {"id": "quiet", "no_call": "other"})
    assert (await graded(wanted, *asked("f")))["quiet"].status is Status.PASSED


async def test_reply_needs_every_condition() -> None:
    reply = {"mentions": ["S-1", 12.5], "not_mentions": ["sorry"], "asks": True}
    wanted = steps({"id": "r", "reply": reply})
    good = (await graded(wanted, Message("assistant", "S-1 for $12.50, right?")))["r"]
    assert (good.status, good.score) == (Status.PASSED, 1.0)
    bad = (await graded(wanted, Message("assistant", "Sorry, S-1, right?")))["r"]
    assert (bad.status, bad.score) == (Status.FAILED, 0.5)
    assert "does not mention 12.5" in bad.reason


async def test_silence_is_no_polite_refusal() -> None:
    wanted = steps({"id": "r", "reply": {"not_mentions": ["poem"]}})
    assert (await graded(wanted, Message("assistant", "  ")))["r"].status is Status.FAILED


async def test_json_reply() -> None:
    schema = {"type": "object", "required": ["code"], "properties": {"code": {"type": "integer"}}}
    wanted = steps({"id": "r", "reply": {"json_schema": schema}})
    assert (await graded(wanted, Message("assistant", '{"code": 3}')))["r"].status is Status.PASSED
    for text in ('{"code": "3"}', "code 3", "{}"):
        assert (await graded(wanted, Message("assistant", text)))["r"].status is Status.FAILED


@pytest.mark.parametrize(
    ("text", "said"),
    [("[" * 100_000, "is nested too deeply: [[["), ("1" + "0" * 400, "holds a number that is too large: 1000")],
)
async def test_json_that_nobody_can_check_does_not_fit(text: str, said: str) -> None:
    reply = {"json_schema": {"multipleOf": 0.5}}
    grade = (await graded(steps({"id": "r", "reply": reply}), Message("assistant", text)))["r"]
    assert (grade.status, grade.check) == (Status.FAILED, "reply.json_schema")
    assert grade.reason.startswith(said)
    (grade,) = await grade_outcome([Check(id="c", reply=Reply(**reply))], [Message("assistant", text)], None, None)
    assert grade.status is Status.FAILED


async def test_a_schema_that_refers_to_what_cannot_be_had_leaves_it_ungraded() -> None:
    reply = Reply.model_construct(json_schema={"$ref": "#/$defs/Typo"})
    said = Message("assistant", "{}")
    of_step = (await graded((Step(id="r", reply=reply),), said))["r"]
    (of_check,) = await grade_outcome([Check(id="c", reply=reply)], [said], None, None)
    for grade in (of_step, of_check):
        assert (grade.status, grade.check, grade.fault) == (Status.UNGRADED, "reply.json_schema", Party.JUDGE)
        assert "refers to /$defs/Typo, which cannot be had" in grade.reason


async def test_state_right_after_the_turn() -> None:
    wanted = steps({"id": "s", "state": {"sales/S-1/lines/0/refunded": True, "sales/S-2": {"absent": True}}})
    state = {"sales": {"S-1": {"lines": [{"refunded": True}]}}}
    assert (await graded(wanted, state=state))["s"].status is Status.PASSED
    assert (await graded(wanted, state={"sales": {}}))["s"].status is Status.FAILED
    assert lookup(state, "sales/S-1/lines/7") is MISSING


async def test_reasoning_is_void_where_the_model_shows_none() -> None:
    wanted = steps({"id": "think", "reasoning": {"mentions": ["policy"], "max_words": 5}})
    assert (await graded(wanted, Message("assistant", "ok")))["think"].status is Status.NOT_REACHED
    seen = Message("assistant", "ok", reasoning="the policy says so")
    assert (await graded(wanted, seen))["think"].status is Status.PASSED
    long = Message("assistant", "ok", reasoning="the policy says so and so and so")
    assert (await graded(wanted, long))["think"].check == "reasoning.max_words"


def judge(answer: dict[str, Any] | str, cache: Any = None) -> Judge:
    text = answer if isinstance(answer, str) else orjson.dumps(answer).decode()
    return Judge(FakeChat(lambda request: text), cache)


RUBRIC = steps({"id": "kind", "reply": {"judge": "Is the answer kind?"}})
ANSWER = Message("assistant", "Of course, with pleasure.")


@pytest.mark.parametrize(("passed", "status"), [(True, Status.PASSED), (False, Status.FAILED)])
async def test_a_judges_verdict_with_a_quotation(passed: bool, status: Status) -> None:
    verdict = {"reason": "It is.", "quotation": "with  PLEASURE", "passed": passed}
    grade = (await graded(RUBRIC, ANSWER, judge=judge(verdict)))["kind"]
    assert (grade.status, grade.check) == (status, "reply.judge")


@pytest.mark.parametrize(
    "answer",
    [
        "I think it is fine",
        {"reason": "r", "quotation": "nobody said this", "passed": True},
        {"reason": "r", "quotation": "", "passed": True},
        {"reason": "r", "quotation": "pleasure"},
        {"reason": "r", "quotation": "pleasure", "passed": "yes"},
    ],
)
async def test_a_judge_that_answers_nonsense_leaves_the_step_ungraded(answer: Any) -> None:
    grade = (await graded(RUBRIC, ANSWER, judge=judge(answer)))["kind"]
    assert (grade.status, grade.fault, grade.score) == (Status.UNGRADED, Party.JUDGE, None)


async def test_without_a_judge_a_rubric_is_ungraded() -> None:
    grade = (await graded(RUBRIC, ANSWER))["kind"]
    assert grade.status is Status.UNGRADED
    assert "no judge is configured" in grade.reason


async def test_a_judge_is_asked_once_for_the_same_thing() -> None:
    class Memory(dict[str, str]):
        cache_get = dict.get
        cache_put = dict.__setitem__

    asked_of: list[ChatRequest] = []

    def answer(request: ChatRequest) -> str:
        asked_of.append(request)
        return '{"reason": "r", "quotation": "pleasure", "passed": true}'

    same = Judge(FakeChat(answer), Memory())
    for _ in range(2):
        assert (await graded(RUBRIC, ANSWER, judge=same))["kind"].status is Status.PASSED
    assert len(asked_of) == 1


@pytest.mark.parametrize("told", [None, Sampling(), Sampling(temperature=0.0, max_tokens=400)])
async def test_what_a_judge_said_when_asked_as_usual_is_found_under_the_same_key_as_ever(told: Sampling | None) -> None:
    key = "judge:dc86058802074d4d89a4570e0d0d79efe68fd8dacd78458a0598cdd43f4031f8"
    kept = {key: '{"reason": "r", "quotation": "pleasure", "passed": true}'}
    never = FakeChat(lambda request: pytest.fail("nobody is to be asked"), name="llm")
    verdict = await Judge(never, SimpleNamespace(cache_get=kept.get), told).verdict("Is the answer kind?", [ANSWER])
    assert verdict.passed


async def test_a_judge_that_is_asked_otherwise_answers_anew() -> None:
    kept: dict[str, str] = {}
    cache = SimpleNamespace(cache_get=kept.get, cache_put=kept.__setitem__)
    requests: list[ChatRequest] = []

    def answer(request: ChatRequest) -> str:
        requests.append(request)
        return '{"reason": "r", "quotation": "pleasure", "better": "A", "passed": true}'

    manners = ({"temperature": 0.5}, {"top_p": 0.5}, {"max_tokens": 40}, {"extra_body": {"a": 1, "b": 2}})
    for told in ({}, *manners, {"extra_body": {"b": 2, "a": 1}}):
        judge = Judge(FakeChat(answer), cache, Sampling(**told))
        await judge.verdict("Is it kind?", [ANSWER])
        await preference(judge, "kindness", [ANSWER], "yes", "no")
    assert len(requests) == len(kept) == 3 * (1 + len(manners)), "the order of what is sent besides means nothing"
    asked = {(it.temperature, it.top_p, it.max_tokens, tuple(it.extra_body)) for it in requests}
    assert asked == {
        (0.0, None, 400, ()),
        (0.5, None, 400, ()),
        (0.0, 0.5, 400, ()),
        (0.0, None, 40, ()),
        (0.0, None, 400, ("a", "b")),
    }


async def test_the_judge_is_not_asked_where_a_plain_condition_already_failed() -> None:
    wanted = steps({"id": "kind", "reply": {"mentions": ["sorry"], "judge": "Is it kind?"}})
    grade = (await graded(wanted, ANSWER, judge=judge("nonsense")))["kind"]
    assert grade.status is Status.FAILED


async def test_outcome_checks() -> None:
    checks = [
        Check.model_validate({"id": "state", "state": {"done": True}}),
        Check.model_validate({"id": "never", "no_call": ["delete"]}),
        Check.model_validate({"id": "said", "reply": {"mentions": ["goodbye"]}}),
    ]
    failed_call = Message("tool", "no", name="delete", error="ValueError")
    messages = [Message("user", "goodbye"), failed_call, Message("assistant", "Goodbye!")]
    grades = await grade_outcome(checks, messages, {"done": True}, None)
    assert [grade.status for grade in grades] == [Status.PASSED] * 3
    done = Message("tool", "ok", name="delete")
    grades = await grade_outcome(checks, [done], {"done": False}, None)
    assert [grade.status for grade in grades] == [Status.FAILED] * 3


def failing(error: Exception) -> Judge:
    class Fails(Judge):
        async def verdict(self, rubric: str, messages: Sequence[Message]) -> Any:
            raise error

    return Fails(FakeChat(lambda request: ""))


async def test_an_outcome_check_whose_grading_fails_is_ungraded_and_the_others_are_graded() -> None:
    checks = [
        Check.model_validate({"id": "kind", "reply": {"judge": "Is it kind?"}}),
        Check.model_validate({"id": "state", "state": {"done": True}}),
    ]
    said = [Message("assistant", "hello")]
    lost, kept = await grade_outcome(checks, said, {"done": True}, failing(KeyError("verdict")))
    assert (lost.status, lost.fault) == (Status.UNGRADED, Party.HARNESS)
    assert lost.reason == "it could not be graded: KeyError: 'verdict'"
    assert kept.status is Status.PASSED
    with pytest.raises(BudgetExhausted):
        await grade_outcome(checks, said, {}, failing(BudgetExhausted("spent")))
    for before in range(400, 500, 9):
        broken = failing(KeyError(f"{'x' * before} sk-proj-abcdefghijklmnop and more{' words' * 20}"))
        lost, _ = await grade_outcome(checks, said, {}, broken)
        assert "sk-" not in lost.reason, "a secret across the reason's end"


@pytest.mark.parametrize(
    ("said", "passed"),
    [(['{"n": 1}', "plain", "null"], True), (["plain", '{"n": 1}', '{"n": 1}'], True), (['{"n": 1}', "plain"], False)],
)
async def test_each_expected_answer_takes_one_of_its_own(said: list[str], passed: bool) -> None:
    check = Check.model_validate({"id": "told", "results": ["plain", {"equals": {"n": 1}}, {"any": True}]})
    messages = [Message("tool", content, name="f") for content in said]
    (grade,) = await grade_outcome([check], messages, None, None)
    assert (grade.status is Status.PASSED) is passed
    assert grade.score == min(1, len(said) / 3)
