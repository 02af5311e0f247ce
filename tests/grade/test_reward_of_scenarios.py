"""One definition, two uses: the scenario's grader as a reward, and rewards that grade a scenario's replies."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from agentkit.config import rewards_folder
from agentkit.errors import ConfigError, JudgeError, RewardError, SuiteError
from agentkit.grade import (
    Judge,
    RewardStep,
    TurnRecord,
    current_judge,
    grade_outcome,
    grade_step,
    grade_turn,
    load_rubric,
    preference,
    use_judge,
)
from agentkit.grade import rubric as rubrics
from agentkit.llm import ChatRequest, FakeChat
from agentkit.play.agents.golden import golden_reply
from agentkit.records import Message, Party, Status, ToolCall, ToolSpec
from agentkit.scenario import Check, PlayTurn, Step, load
from tests.scenario.scenario_files import SUITE, WORLD

TOOL = ToolSpec("refund", "", {"type": "object", "properties": {"sale": {}, "method": {"default": "card"}}})


def call_step(**arguments: Any) -> RewardStep:
    expected = Step.model_validate(
        {"id": "pay", "call": {"name": "refund", "arguments": {"sale": "S-1"}, "result": "ok"}}
    )
    call = ToolCall("1", "refund", arguments)
    return RewardStep((Message("user", "please"),), "…", (call,), expected=expected, tools={"refund": TOOL})


def reply_step(reply: str, **wanted: Any) -> RewardStep:
    return RewardStep((Message("user", "hello"),), reply, reply=reply, expected=step_of("say", **wanted))


def step_of(id: str, **wanted: Any) -> Step:
    return Step.model_validate({"id": id, "reply": wanted})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a few rewards, where we stand."""
    (tmp_path / "pyproject.toml").write_text("[tool.agentkit]\nrewards = 'graders'\n")
    folder = tmp_path / "graders"
    folder.mkdir()
    (folder / "polite.py").write_text(
        """
from agentkit.grade import reward

@reward(points=1)
def thanks(step):
    '''Says thank you.'''
    return "thank" in step.reply.lower()

@reward(points=3)
def short(step):
    return 1 / max(1, len(step.reply.split()) // 5)
"""
    )
    (folder / "whole.py").write_text(
        "from agentkit.grade import graded\n\nright = graded(points=2)\npartly = graded(points=1, in_parts=True)\n"
    )
    (folder / "broken.py").write_text("from agentkit.grade import reward\n\n@reward\ndef r(step):\n    return 7\n")
    (folder / "shy.py").write_text("from agentkit.grade import reward\n\n@reward\ndef r(step):\n    return None\n")
    (folder / "caged.py").write_text(
        "from agentkit.errors import SandboxError\nfrom agentkit.grade import reward\n\n"
        "@reward\ndef r(step):\n    raise SandboxError('no sandbox: install bubblewrap')\n"
    )
    (folder / "asking.py").write_text(
        """
from agentkit.grade import current_judge, reward

@reward
async def kind(step):
    verdict = await current_judge().verdict("Is it kind?", step.prompt)
    return verdict.passed
"""
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judge(passed: bool = True, quotation: str = "hello") -> Judge:
    answer = orjson.dumps({"reason": "so it is", "quotation": quotation, "passed": passed}).decode()
    return Judge(FakeChat(lambda request: answer))


async def test_the_scenarios_grade_of_a_call_counts_defaults_as_given_and_lets_the_result_be() -> None:
    grade = await grade_step(call_step(sale="S-1", method="card"))
    assert grade is not None
    assert grade.status is Status.PASSED
    wrong = await grade_step(call_step(sale="S-2"))
    assert wrong is not None
    assert (wrong.status, wrong.score) == (Status.FAILED, 0.5)


def test_the_scenarios_grade_is_a_reward_whole_and_in_parts(project: Path) -> None:
    rubric = load_rubric("whole")
    assert [part.name for part in rubric.parts] == ["right", "partly"]
    assert rubric.score(call_step(sale="S-1")).parts == {"right": 1.0, "partly": 1.0}
    assert rubric.score(call_step(sale="S-2")).parts == {"right": 0.0, "partly": 0.5}
    assert rubric.score(reply_step("Hello, Ada", mentions=["Ada", "Bob"])).parts == {"right": 0.0, "partly": 0.5}


def test_a_completion_that_calls_more_than_is_expected_fails_the_call(project: Path) -> None:
    step = call_step(sale="S-1")
    more = RewardStep(step.prompt, "…", (*step.calls, ToolCall("2", "refund", {"sale": "S-9"})), expected=step.expected)
    assert load_rubric("whole:right").score(more).total == 0.0


@pytest.mark.parametrize(
    "expected", [None, {"id": "s", "state": {"a": 1}}, {"id": "t", "reasoning": {"mentions": ["x"]}}]
)
def test_what_a_completion_alone_cannot_show_does_not_apply(project: Path, expected: Any) -> None:
    step = RewardStep((), "x", reply="x", expected=expected and Step.model_validate(expected))
    assert load_rubric("whole").score(step).total is None


def test_reasoning_and_forbidden_calls_are_graded(project: Path) -> None:
    thought = Step.model_validate({"id": "t", "reasoning": {"mentions": ["policy"]}})
    rubric = load_rubric("whole:right")
    assert rubric.score(RewardStep((), "x", reasoning="The policy says no.", expected=thought)).total == 1
    no_call = Step.model_validate({"id": "n", "no_call": "any"})
    assert rubric.score(RewardStep((), "x", (ToolCall("1", "f", {}),), expected=no_call)).total == 0
    assert rubric.score(RewardStep((), "x", reply="No.", expected=no_call)).total == 1


def test_a_judge_that_cannot_say_leaves_the_part_out_and_is_counted(project: Path) -> None:
    step = reply_step("hello there", judge="Is it kind?")
    rubric = load_rubric("whole:right")
    with use_judge(judge()):
        assert rubric.score(step).total == 1
    with use_judge(judge(quotation="never said")):
        scored = rubric.score(step)
    assert (scored.total, scored.unjudged) == (None, ("right",))
    assert "quotes what nobody said" in scored.left_out["right"]


def test_without_a_judge_a_reward_that_needs_one_says_where_to_name_it(project: Path) -> None:
    with pytest.raises(RewardError, match=r"ConfigError: no judge is configured \(\[tool.agentkit.judge\]\)"):
        load_rubric("asking").score(reply_step("hello"))


async def test_the_configured_judge_is_made_once_for_a_loop(project: Path) -> None:
    with pytest.raises(ConfigError):
        current_judge()
    (project / "pyproject.toml").write_text(
        "[tool.agentkit.judge]\nmodel = 'm'\nbase_url = 'http://127.0.0.1:9/v1'\nretry_for = 0\n"
    )
    assert current_judge() is current_judge()
    assert current_judge().model.name == "m"
    with pytest.raises(JudgeError, match="could not be asked"):
        await current_judge().verdict("Kind?", [Message("assistant", "hello")])
    await current_judge().model.close()


async def graded(reply: dict[str, Any], answer: str, judge: Judge | None = None) -> Any:
    step = step_of("say", **reply)
    messages = (Message("user", "hello"), Message("assistant", answer))
    record = TurnRecord(0, PlayTurn("t", "hello", "subset", (step,)), messages, {"state": 1}, "span", {"name": "Ada"})
    (grade,) = await grade_turn(record, lambda name, given: given, judge)
    return grade


async def test_a_reply_is_graded_by_a_reward(project: Path) -> None:
    passed = await graded({"reward": "polite", "at_least": 0.7}, "Thank you.")
    assert (passed.status, passed.check) == (Status.PASSED, "reply.reward")
    assert passed.reason == "polite gives 1 of 0.7 (thanks 1, short 1) (and 1 more)"
    assert passed.expected == {"reward": "polite", "at_least": 0.7}
    failed = await graded({"reward": "polite"}, "Done.")
    assert (failed.status, failed.check, failed.fault) == (Status.FAILED, "reply.reward", Party.AGENT)
    assert failed.reason == "polite gives 0.75 of 1 (thanks 0, short 1)"
    assert (await graded({"reward": "polite:short"}, "Done.")).status is Status.PASSED


async def test_plain_conditions_come_first(project: Path) -> None:
    grade = await graded({"reward": "broken", "mentions": ["Ada"]}, "Done.")
    assert (grade.status, grade.check) == (Status.FAILED, "reply.mentions")


@pytest.mark.parametrize(
    ("reward", "said"),
    [
        ("broken", "returned 7, expected a number from 0 to 1"),
        ("shy", "does not say enough of this answer: r: it does not apply"),
        ("gone", "no such file of rewards"),
        ("caged", "the reward caged cannot be used: no sandbox: install bubblewrap"),
    ],
)
async def test_a_reward_that_cannot_be_used_leaves_the_step_ungraded(project: Path, reward: str, said: str) -> None:
    grade = await graded({"reward": reward}, "Done.")
    assert (grade.status, grade.check, grade.score, grade.fault) == (Status.UNGRADED, "reply.reward", None, Party.JUDGE)
    assert said in grade.reason


async def test_a_reward_that_asks_a_judge_is_lent_the_trials(project: Path) -> None:
    assert (await graded({"reward": "asking"}, "Done.", judge())).status is Status.PASSED
    assert (await graded({"reward": "asking"}, "Done.", judge(passed=False))).status is Status.FAILED


async def test_a_reward_that_asks_the_scenarios_grader_is_not_asked_by_it_again(project: Path) -> None:
    assert (await graded({"reward": "whole", "mentions": ["Ada"]}, "Hello Ada")).status is Status.PASSED


async def test_an_outcome_is_graded_by_a_reward(project: Path) -> None:
    check = Check.model_validate({"id": "polite", "reply": {"reward": "polite:thanks"}})
    said = (
        Message("user", "hello"),
        Message("assistant", "Thanks!"),
        Message("user", "bye"),
        Message("assistant", "Bye."),
    )
    (grade,) = await grade_outcome([check], said, None, None)
    assert (grade.status, grade.check) == (Status.PASSED, "reply.reward")


async def test_an_outcomes_reward_knows_the_variables_and_the_tools(project: Path) -> None:
    (project / "graders" / "knows.py").write_text(
        "from agentkit.grade import reward\n\n@reward\ndef name(step):\n"
        "    return step.variables['name'] in step.reply and 'refund' in step.tools\n"
    )
    check = Check.model_validate({"id": "name", "reply": {"reward": "knows"}})
    said = [Message("assistant", "Hello Ada")]
    variables = {"name": "Ada"}
    (grade,) = await grade_outcome([check], said, None, None, tools={"refund": TOOL}, variables=variables)
    assert grade.status is Status.PASSED


def suite(project: Path, reply: str) -> Path:
    folder = project / "scenarios" / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("suite.yaml", SUITE), ("world.py", WORLD), ("policy.md", "Be kind.")):
        (folder / name).write_text(text)
    (folder / "refund.yaml").write_text(
        f"title: T\nturns:\n  - id: ask\n    user: hello\n    steps:\n      - id: say\n        reply: {reply}\n"
        "outcome:\n  - {id: nothing, state: {refunds: []}}\n"
    )
    return folder


def test_a_scenarios_hash_changes_with_the_reward_that_grades_it(project: Path) -> None:
    folder = suite(project, "{reward: 'polite:thanks', at_least: 1, golden: 'Thank you.'}")
    (before,) = load([folder])
    assert load([folder])[0].hash == before.hash
    file = project / "graders" / "polite.py"
    file.write_text(file.read_text() + "# more\n")
    assert load([folder])[0].hash != before.hash


def test_a_scenario_that_no_reward_grades_keeps_its_hash_whatever_the_rewards_are(project: Path) -> None:
    folder = suite(project, "{mentions: [sale]}")
    (before,) = load([folder])
    for file in (project / "graders").iterdir():
        file.unlink()
    assert load([folder])[0].hash == before.hash


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("{reward: polit}", "refund.yaml:7: turns[0].steps[0].reply.reward: graders/polit.py: no such file of rewards"),
        ("{reward: 'polite:thank'}", "no reward is called 'thank' here (did you mean 'thanks'?)"),
        ("{reward: 'po lite'}", "refund.yaml:7: turns[0].steps[0].reply.reward: found 'po lite', expected `module`"),
        ("{mentions: [x], at_least: 0.5}", "`at_least` says how much a `reward` must give"),
        ("{reward: polite, at_least: 0}", "at_least"),
        ("{reward: polite, at_least: '0.5'}", "at_least"),
    ],
)
def test_a_reward_that_is_named_wrongly_is_told_with_its_line(project: Path, reply: str, said: str) -> None:
    with pytest.raises(SuiteError) as caught:
        load([suite(project, reply)])
    assert said in str(caught.value)


def test_the_scripted_agent_says_the_golden_answer(project: Path) -> None:
    (loaded,) = load([suite(project, "{reward: polite, golden: Thank you.}")])
    reply = loaded.draw("golden", 0).turns[0].steps[0].reply
    assert reply is not None
    assert golden_reply(reply) == "Thank you."
    assert load_rubric("polite").score(RewardStep((), "Thank you.", reply="Thank you.")).total == 1


def test_the_folder_of_rewards_is_the_projects_wherever_in_it_we_stand(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project / "scenarios" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert rewards_folder() == project / "graders"
    assert load_rubric("polite:thanks").parts[0].doc == "Says thank you."


def pairing(choose: Any) -> Judge:
    def answer(request: ChatRequest) -> str:
        body = orjson.loads(request.messages[-1].content)
        better = choose(body["A"], body["B"])
        return orjson.dumps({"reason": "r", "quotation": body["A"], "better": better}).decode()

    return Judge(FakeChat(answer))


@pytest.mark.parametrize(
    ("choose", "value"),
    [
        (lambda a, b: "A" if len(a) < len(b) else "B", 1.0),
        (lambda a, b: "B" if len(a) < len(b) else "A", 0.0),
        (lambda a, b: "A", 0.5),
        (lambda a, b: "tie", 0.5),
    ],
)
async def test_a_pair_is_judged_in_both_orders(choose: Any, value: float) -> None:
    assert await preference(pairing(choose), "shorter", [Message("user", "hi")], "short", "rather long") == value


async def test_equal_answers_are_a_tie_and_nonsense_is_none() -> None:
    never = Judge(FakeChat(lambda request: pytest.fail("nobody is to be asked")))
    assert await preference(never, "x", [], "Same  text", "same text") == 0.5
    with pytest.raises(JudgeError, match="did not answer with a choice"):
        await preference(Judge(FakeChat(lambda request: "A, I think")), "x", [], "one", "two")


def test_the_example_of_the_readme_does_what_it_says(project: Path) -> None:
    readme = (Path(rubrics.__file__).parent / "README.md").read_text()
    example = re.search(r"`rewards/refund.py`\n\n```python\n(.*?)```", readme, re.DOTALL)
    assert example is not None
    (project / "graders" / "refund.py").write_text(example[1])
    step = replace(call_step(sale_id="S-1"), world={"sales": {"S-1": {}}})
    scored = load_rubric("refund").score(step)
    assert scored.parts == {"as_the_scenario_says": 0.0, "well_formed": 1.0, "sale_exists": 1.0}
    assert f'# {scored.total:.2f}, {{"as_the_scenario_says": 0.0, "well_formed": 1.0' in readme
