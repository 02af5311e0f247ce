"""The shipped rubrics on real steps: a right completion gets all, each mistake gets less, and no trick gets more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from agentkit.config import rewards_folder
from agentkit.grade import Judge, RewardStep, same_twice, use_judge
from agentkit.llm import ChatRequest, FakeChat
from agentkit.records import Message, ToolCall
from agentkit.scenario import Step
from tests.rewards.real_steps import ROOT, called, rubric, said, steps, those
from tests.rewards.test_code_reward import TESTS

SUITES = ("point_of_sale", "background_check", "care_followup")
NOTHING = RewardStep((Message("user", "hello"),), "")


def test_every_shipped_file_is_a_rubric_whose_parts_say_what_they_are() -> None:
    files = {file.stem for file in (ROOT / "rewards").glob("*.py")} - {"tests_of_code"}
    assert files == {"tool_call", "extraction", "reply", "code", "judge", "reasoning", "cost", "outcome"}
    for name in files:
        assert all(part.doc and part.points > 0 for part in rubric(name).parts), name
    assert [(part.name, part.points) for part in rubric("tool_call").parts] == [
        ("well_formed", 5),
        ("right_tool", 10),
        ("right_arguments", 20),
    ]
    readme = (ROOT / "rewards" / "README.md").read_text()
    assert all(f"| `{name}.py` |" in readme for name in files)


@pytest.mark.parametrize("name", SUITES)
def test_the_golden_call_of_every_step_gets_all_points_of_tool_call(name: str) -> None:
    found = those(steps(name), lambda step: step.call or step.no_call)
    totals = {moment.name: rubric("tool_call").score(moment).total for moment in found}
    assert totals == dict.fromkeys(totals, 1.0)
    assert same_twice(rubric("tool_call"), found) == ()


@pytest.mark.parametrize("name", SUITES)
def test_the_golden_answer_of_every_step_gets_all_points_of_reply(name: str) -> None:
    found = those(steps(name), lambda step: step.reply and not step.reply.judge)
    totals = {moment.name: rubric("reply").score(moment).total for moment in found}
    assert totals == dict.fromkeys(totals, 1.0)
    assert same_twice(rubric("reply"), found) == ()


@pytest.fixture
def find_sale() -> RewardStep:
    return those(steps("point_of_sale"), lambda step: step.id == "find_sale")[0]


def of_call(step: RewardStep) -> dict[str, float]:
    return dict(rubric("tool_call").score(step).parts)


def test_a_wrong_argument_costs_its_share_of_the_arguments(find_sale: RewardStep) -> None:
    assert find_sale.call is not None
    assert find_sale.call.arguments is not None
    wrong = called(find_sale, find_sale.call.name, **{**find_sale.call.arguments, "last_four": "0"})
    assert of_call(wrong) == {"well_formed": 1, "right_tool": 1, "right_arguments": 0.5}
    more = called(find_sale, find_sale.call.name, **find_sale.call.arguments, made_up=1, and_more=2)
    assert of_call(more) == {"well_formed": 1, "right_tool": 1, "right_arguments": 0.5}


def test_a_wrong_tool_gets_the_points_for_its_form_alone(find_sale: RewardStep) -> None:
    assert find_sale.call is not None
    assert find_sale.call.arguments is not None
    wrong = called(find_sale, "refund_item", **find_sale.call.arguments)
    assert of_call(wrong) == {"well_formed": 1, "right_tool": 0, "right_arguments": 0}
    assert of_call(called(find_sale, "no_such_tool")) == {"well_formed": 0, "right_tool": 0, "right_arguments": 0}


def test_broken_arguments_words_and_silence_earn_no_form(find_sale: RewardStep) -> None:
    assert find_sale.call is not None
    broken = replace(find_sale, calls=(ToolCall("1", find_sale.call.name, None, '{"sale'),))
    assert of_call(broken) == {"well_formed": 0, "right_tool": 1, "right_arguments": 0}
    assert set(of_call(said(find_sale, "I will look it up.")).values()) == {0}
    assert set(of_call(said(find_sale, "")).values()) == {0}


def test_many_calls_in_the_hope_that_one_is_right_earn_nothing(find_sale: RewardStep) -> None:
    twice = replace(find_sale, calls=find_sale.calls * 2)
    assert set(of_call(twice).values()) == {0}


def test_a_call_where_none_is_due_and_silence_earn_nothing() -> None:
    quiet = those(steps("point_of_sale"), lambda step: step.no_call == "other")[0]
    assert of_call(said(quiet, "")) == {"well_formed": 0, "right_tool": 1}
    assert of_call(called(quiet, "look_up_sale", sale_id="S-1", last_four="1"))["right_tool"] == 0


@pytest.fixture
def confirm() -> RewardStep:
    return those(steps("point_of_sale"), lambda step: step.id == "confirm_item")[0]


def of_reply(step: RewardStep) -> dict[str, float]:
    return dict(rubric("reply").score(step).parts)


def test_an_answer_loses_what_it_leaves_out(confirm: RewardStep) -> None:
    assert confirm.expected is not None
    assert confirm.expected.reply is not None
    first, _ = confirm.expected.reply.mentions
    parts = of_reply(said(confirm, f"Is it about the {first}?"))
    assert parts["mentions_all"] == 0.5
    assert parts["asks_where_it_should"] == 1
    assert parts["as_expected"] == 0
    statement = of_reply(said(confirm, confirm.reply.replace("?", ".")))
    assert statement["asks_where_it_should"] == 0
    assert statement["mentions_all"] == 1


def test_silence_calls_and_a_shower_of_questions_are_no_answer(confirm: RewardStep) -> None:
    assert set(of_reply(said(confirm, " \n")).values()) == {0}
    assert of_reply(said(confirm, confirm.reply + "?????"))["asks_where_it_should"] == 0
    busy = replace(confirm, calls=(ToolCall("1", "refund_item", {}),))
    assert of_reply(busy)["answers_rather_than_calls"] == 0


@pytest.mark.parametrize(
    "advice",
    ["You should stop taking your medication.", "I guarantee it.", "You could double the dose!", "Buy the stock now."],
)
def test_forbidden_advice_is_found_whatever_the_step_says(confirm: RewardStep, advice: str) -> None:
    assert of_reply(confirm)["nothing_forbidden"] == 1
    assert of_reply(said(confirm, f"{confirm.reply} {advice}"))["nothing_forbidden"] == 0


def test_what_a_step_forbids_is_found() -> None:
    found = those(steps("care_followup"), lambda step: step.reply and step.reply.not_pattern)[0]
    assert of_reply(found)["nothing_forbidden"] == 1
    assert of_reply(said(found, f"{found.reply} Take two tablets."))["nothing_forbidden"] == 0


INVOICE = Message("user", "Invoice 0042 from Ada Lovelace Ltd: 3 lamps, total $1,250.50, paid: yes")
GOLDEN = orjson.dumps(
    {"number": "0042", "seller": "Ada Lovelace Ltd", "total": 1250.5, "items": ["lamps"], "paid": True}
)


def extracted(**changes: Any) -> dict[str, float]:
    fields = {name: value for name, value in (orjson.loads(GOLDEN) | changes).items() if value != "drop"}
    return of_extraction(orjson.dumps(fields).decode())


def of_extraction(text: str) -> dict[str, float]:
    step = RewardStep((INVOICE,), text, reply=text, golden=GOLDEN.decode())
    return dict(rubric("extraction").score(step).parts)


def test_right_fields_get_all_points_however_a_number_is_written() -> None:
    assert extracted() == {"is_json": 1, "right_fields": 1, "nothing_invented": 1}
    assert extracted(total="1,250.50") == {"is_json": 1, "right_fields": 1, "nothing_invented": 1}
    assert of_extraction(f"```json\n{GOLDEN.decode()}\n```")["is_json"] == 1


def test_wrong_missing_and_additional_fields_cost_their_share() -> None:
    assert extracted(seller="drop")["right_fields"] == pytest.approx(4 / 5)
    assert extracted(number="42")["right_fields"] == pytest.approx(4 / 5)
    assert extracted(seller="Ada Ltd")["right_fields"] == pytest.approx((4 + 4 / 5) / 5)
    assert extracted(customer="Bob")["right_fields"] == pytest.approx(5 / 6)
    assert extracted(customer="Bob")["nothing_invented"] == pytest.approx(4 / 5)
    assert extracted(items=["lamps", "chairs"])["right_fields"] == pytest.approx((4 + 2 / 3) / 5)


@pytest.mark.parametrize("text", ["", "The total is 1250.5", "[1]", "{", '{"a": NaN} and more', "[" * 5000])
def test_what_is_no_object_gets_nothing(text: str) -> None:
    assert of_extraction(text) == {"is_json": 0, "right_fields": 0, "nothing_invented": 0}


def judging(passed: bool, better: str = "A") -> Judge:
    def said(request: ChatRequest) -> str:
        body = orjson.loads(request.messages[-1].content)
        if "A" in body:
            return orjson.dumps({"reason": "r", "quotation": body["A"], "better": better}).decode()
        return orjson.dumps({"reason": body["rubric"], "quotation": "hello", "passed": passed}).decode()

    return Judge(FakeChat(said))


def test_the_judge_is_asked_alone_and_against_the_golden_answer() -> None:
    step = replace(NOTHING, completion="Hi!", reply="Hi!", golden="Good day.")
    with use_judge(judging(True)):
        assert rubric("judge").score(step).parts == {"meets_the_rubric": 1, "as_good_as_golden": 0.5}
        assert rubric("judge").score(said(step, "Good day.")).parts["as_good_as_golden"] == 0.5
        assert rubric("judge").score(said(step, "")).parts == {"meets_the_rubric": 0, "as_good_as_golden": 0}
    with use_judge(judging(False)):
        assert rubric("judge:meets_the_rubric").score(step).total == 0


def test_the_judge_gets_the_steps_own_rubric() -> None:
    asked: list[str] = []

    def note(request: ChatRequest) -> str:
        asked.append(orjson.loads(request.messages[-1].content)["rubric"])
        return orjson.dumps({"reason": "r", "quotation": "hello", "passed": True}).decode()

    own = Step.model_validate({"id": "s", "reply": {"judge": "Is it kind?"}})
    with use_judge(Judge(FakeChat(note))):
        rubric("judge").score(replace(NOTHING, reply="Hi!", expected=own))
        rubric("judge").score(replace(NOTHING, reply="Hi!"))
    assert asked[0] == "Is it kind?"
    assert asked[1].startswith("Does the assistant's last answer help")


@pytest.mark.parametrize(
    ("reasoning", "parts"),
    [
        (None, {"thinks_first": 0, "right_length": 0}),
        ("one two three", {"thinks_first": 1, "right_length": 3 / 15}),
        (" ".join(map(str, range(100))), {"thinks_first": 1, "right_length": 1, "no_circles": 1}),
        ("so it is " * 30, {"thinks_first": 1, "right_length": 1, "no_circles": pytest.approx(3 / 87)}),
        (" ".join(map(str, range(300))), {"thinks_first": 1, "right_length": 0.5, "no_circles": 1}),
        (" ".join(map(str, range(999))), {"thinks_first": 1, "right_length": 0, "no_circles": 1}),
    ],
)
def test_reasoning_is_weighed_by_its_length_and_its_circles(reasoning: str | None, parts: dict[str, Any]) -> None:
    assert rubric("reasoning").score(replace(NOTHING, reply="Hi!", reasoning=reasoning)).parts == parts


def test_reasoning_that_nothing_follows_is_no_answer() -> None:
    assert rubric("reasoning").score(replace(NOTHING, reasoning="I think")).parts["thinks_first"] == 0


@pytest.mark.parametrize(("tokens", "value"), [(0, 1), (60, 1), (180, 0.5), (300, 0), (9999, 0)])
def test_tokens_cost(tokens: int, value: float) -> None:
    assert rubric("cost").score(replace(NOTHING, tokens=tokens)).parts == {"few_tokens": value}


def test_cost_says_nothing_where_nothing_is_known() -> None:
    assert rubric("cost").score(NOTHING).total is None
    longer = replace(NOTHING, completion="x" * 20, golden="x" * 10)
    assert rubric("cost").score(longer).parts == {"no_longer_than_golden": 0.5}


HOSTILE = (
    "",
    "\ud800",
    "\x00\x1b[31m",
    "```json\n" + "\n" * 50_000,
    "```python\n" * 2_000,
    "?" * 50_000,
    " " * 50_000 + "x",
    "[" * 5_000 + "]" * 5_000,
    '{"a":' + "[" * 900 + "]" * 900 + "}",
    '{"a": ' + "9" * 5_000 + ', "b": 1e999, "c": "\\ud800", "d": ٣}',
    '{"total": -1e999, "seller": {"x": [{}]}, "items": [[1], {"y": null}], "paid": "٣.٣"}',
)
ARGUMENTS: tuple[Any, ...] = (
    None,
    {},
    {"sale_id": ["x"], "last_four": {"y": float("nan")}},
    {"sale_id": "\ud800", "n": 10**400},
)


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("name", ["tool_call", "extraction", "reply", "code", "judge", "reasoning", "cost"])
def test_whatever_a_model_writes_is_scored(name: str, find_sale: RewardStep, confirm: RewardStep) -> None:
    more: dict[str, Any] = {"golden": GOLDEN.decode(), "tokens": 7, "variables": {"tests": TESTS}}
    hostile = [replace(confirm, completion=text, reply=text, reasoning=text, **more) for text in HOSTILE] + [
        replace(find_sale, calls=(ToolCall("1", "look_up_sale", given),), **more) for given in ARGUMENTS
    ]
    with use_judge(judging(True)):
        for step in hostile:
            total = rubric(name).score(step).total
            assert total is None or 0 <= total <= 1
            assert total != 1 or name in ("cost", "judge", "reasoning")


def test_a_rubric_of_several_files_takes_what_applies(find_sale: RewardStep) -> None:
    scored = rubric("tool_call+reply+cost").score(replace(find_sale, tokens=30))
    assert scored.total == 1
    assert set(scored.parts) == {
        "tool_call.well_formed",
        "tool_call.right_tool",
        "tool_call.right_arguments",
        "reply.as_expected",
        "cost.few_tokens",
    }


def test_the_shipped_rewards_are_those_of_this_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert rewards_folder() == ROOT / "rewards"
    assert Path(rubric("cost").parts[0].place.split(":")[0]) == Path("rewards/cost.py")
