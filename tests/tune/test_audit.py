from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from agentkit.errors import UsageError
from agentkit.grade import Rubric, load_rubric
from agentkit.records import Status
from agentkit.tune.audit import Audit, audit_rewards
from agentkit.tune.compile import Compiled
from agentkit.tune.corrupt import Kind, examples
from tests.tune.compiled import ROOT, chat_agent, compiled, target


@pytest.fixture
async def refunds() -> Compiled:
    return await compiled()


def shipped(reference: str) -> Rubric:
    return load_rubric(reference, ROOT / "rewards")


def written(folder: Path, source: str) -> Rubric:
    (folder / "bad.py").write_text("from agentkit.grade import reward\n\n" + textwrap.dedent(source))
    return load_rubric("bad", folder)


def stopping(audit: Audit) -> set[str]:
    return {finding.code for finding in audit.findings if finding.stops}


@pytest.mark.parametrize("guided", [True, False])
async def test_the_shipped_rubric_for_calls_passes_on_a_refund(guided: bool) -> None:
    data = await compiled(agent=chat_agent(guided=guided))
    found = await audit_rewards(shipped("tool_call"), data.prompts, 1)
    assert found.passed, [str(it) for it in found.findings]
    by_kind = {it.kind: it for it in found.tallies}
    assert by_kind[Kind.GOLDEN].reward == 1
    assert by_kind[Kind.GOLDEN].right == 1
    assert by_kind[Kind.EMPTY].reward == 0
    wrong = by_kind[Kind.WRONG_ARGUMENT].reward
    assert wrong is not None
    assert 0.5 < wrong < 1


async def test_the_shipped_rubric_for_replies_sees_a_copied_prompt_in_plain_text() -> None:
    data = await compiled(target("say_days", ("golden",)))
    found = await audit_rewards(shipped("reply"), data.prompts, 1)
    by_kind = {it.kind: it for it in found.tallies}
    assert by_kind[Kind.GOLDEN].reward == 1
    assert by_kind[Kind.WRONG_ANSWER].right == 0
    assert Kind.NEEDLESS_CALL in by_kind


async def test_every_spoilt_call_is_wrong_by_the_grader_and_the_golden_one_right(refunds: Compiled) -> None:
    found = examples(refunds.prompts, 7)
    assert found == examples(refunds.prompts, 7)
    assert {it.kind for it in found} == set(Kind) - {Kind.WRONG_ANSWER, Kind.NEEDLESS_CALL}
    for it in found:
        passed = (await it.prompt.grade(it.text)).status is Status.PASSED
        assert passed is (it.kind is Kind.GOLDEN), it


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        (
            """
            @reward
            def long(step) -> float:
                return min(1, len(step.completion) / 400)
            """,
            "rivals_gold",
            "longest answers get 1.00, golden ones 0.",
        ),
        (
            """
            @reward
            def constant(step) -> float:
                return 0.5
            """,
            "hardly_varies",
            "the reward is 0.50 ± 0.000",
        ),
        (
            """
            @reward
            def right(step) -> bool:
                return step.completion == step.golden

            @reward(points=5)
            def asleep(step) -> float:
                return 0
            """,
            "never_fires",
            "never fires: it is 0 for all",
        ),
        (
            """
            import random

            @reward
            def lottery(step) -> float:
                return random.random()
            """,
            "unsteady",
            "and then",
        ),
        (
            """
            @reward
            def calls_something(step) -> bool:
                return bool(step.calls)
            """,
            "blind",
            "answers with the fault 'wrong argument' are wrong by the scenario's grader",
        ),
        (
            """
            @reward
            def silence(step) -> bool:
                return not step.completion
            """,
            "gold_is_low",
            "golden answers get 0.00 on average",
        ),
        (
            """
            @reward
            def brittle(step) -> float:
                return 1 if step.call.name == step.expected.call.name else 0
            """,
            "fails",
            "AttributeError",
        ),
    ],
    ids=["length", "constant", "never fires", "random", "blind", "silence", "raises"],
)
async def test_a_bad_reward_is_stopped_and_told_why(
    refunds: Compiled, tmp_path: Path, source: str, code: str, words: str
) -> None:
    found = await audit_rewards(written(tmp_path, source), refunds.prompts, 1)
    assert not found.passed
    assert code in stopping(found)
    said = [it for it in found.findings if it.code == code]
    assert any(words in it.found for it in said), [str(it) for it in found.findings]
    assert all(it.advice for it in found.findings)


async def test_an_audit_is_the_same_for_the_same_seed_and_plain_json(refunds: Compiled) -> None:
    one = await audit_rewards(shipped("tool_call"), refunds.prompts, 1)
    assert one == await audit_rewards(shipped("tool_call"), refunds.prompts, 1)
    document = json.loads(json.dumps(one.document(), allow_nan=False))
    assert document["passed"] is True
    assert document["prompts"] == len(refunds.prompts)
    assert document["answers"][0]["kind"] == "golden"


async def test_nothing_to_hold_a_reward_against_is_an_error(refunds: Compiled) -> None:
    with pytest.raises(UsageError, match="expected at least one prompt"):
        await audit_rewards(shipped("tool_call"), [], 1)
    bare = refunds.prompts[0].model_copy(update={"golden": None})
    with pytest.raises(UsageError, match="has no golden answer"):
        await audit_rewards(shipped("tool_call"), [bare], 1)
