"""What follows an answer, played on in the till of the shipped shop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.errors import RewardError, UsageError
from agentkit.grade import Rubric, load_rubric
from agentkit.store import Store
from agentkit.tune.audit import audit_rewards
from agentkit.tune.compile import CompileSettings
from agentkit.tune.corrupt import Kind
from agentkit.tune.counterfactual import Counterfactual, playing_on, same_scenarios, scenario_files
from agentkit.tune.prompt import Prompt
from tests.tune.compiled import REFUND, ROOT, chat_agent, compiled, suite, target
from tests.tune.played import clerk, play

REFUND_FILE = ROOT / "scenarios" / "point_of_sale" / "refund.yaml"


@pytest.fixture(scope="module")
def refunds() -> tuple[Prompt, ...]:
    return asyncio.run(compiled(target(variants=("golden",)), settings=CompileSettings(train=2, validation=1))).prompts


@pytest.fixture
def played(refunds: tuple[Prompt, ...]) -> Iterator[Counterfactual]:
    it = Counterfactual(refunds, suite)
    yield it
    it.close()


def refund(prompt: Prompt, **changes: str) -> str:
    golden = json.loads(prompt.golden or "")
    return json.dumps(golden | {"arguments": golden["arguments"] | changes})


def reply(text: str) -> str:
    return json.dumps({"action": "reply", "arguments": {"text": text}})


async def test_the_value_is_the_share_of_what_then_succeeds(
    played: Counterfactual, refunds: tuple[Prompt, ...]
) -> None:
    """After a refund: the item's status at the end of the turn, and at the end of all the refund and the rest."""
    prompt = refunds[0]

    async def share(text: str) -> float | None:
        return await played.share(prompt.reward_step(text))

    assert prompt.golden is not None
    assert await share(prompt.golden) == 1
    assert await share(refund(prompt, tender="cash")) == pytest.approx(2 / 3), "refunded, but not to the card"
    assert await share(refund(prompt, sku="SKU-0000")) == pytest.approx(1 / 3), "the till refuses it"
    assert await share(reply("Done!")) == pytest.approx(1 / 3), "said and not done"
    assert await share("") == pytest.approx(1 / 3)


async def test_the_same_calls_are_played_once_and_words_change_nothing(
    played: Counterfactual, refunds: tuple[Prompt, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentkit.tune import counterfactual

    moves = []

    async def counted(start, move, conversation):  # type: ignore[no-untyped-def]
        moves.append(move)
        return await play_on(start, move, conversation)

    play_on = counterfactual.play_on
    monkeypatch.setattr(counterfactual, "play_on", counted)
    prompt = refunds[0]
    texts = [prompt.golden or "", refund(prompt, tender="cash"), reply("One."), reply("Two."), "", prompt.golden or ""]
    first = await asyncio.gather(*(played.share(prompt.reward_step(text)) for text in texts))
    assert len(moves) == 3
    assert first == [await played.share(prompt.reward_step(text)) for text in texts]
    assert len(moves) == 3
    assert await played.share(refunds[1].reward_step(reply("One."))) == pytest.approx(1 / 3)
    assert len(moves) == 5, "another prompt is another world"


@pytest.mark.slow
async def test_a_recorded_failure_is_played_on_from_what_was_said(tmp_path: Path) -> None:
    """The agent looked nothing up and said odd things before; its world is made again all the same."""
    with Store.open(f"sqlite:///{tmp_path}/runs.db") as store:
        run = await play(store, chat_agent(clerk), tmp_path / "traces")
        trials = list(store.trials(run.id))
    data = await compiled(trials=trials, run=run)
    recorded = [prompt for prompt in data.prompts if prompt.origin != "golden"]
    assert recorded
    it = Counterfactual(data.prompts, suite)
    try:
        for prompt in recorded:
            assert await it.share(prompt.reward_step(prompt.golden or "")) == 1
            below = await it.share(prompt.reward_step(reply("No.")))
            assert below is not None
            assert below < 1
    finally:
        it.close()


async def test_a_needless_call_at_the_end_counts_by_what_it_does() -> None:
    """How long the money takes is said last: nothing that follows can be spoilt by words, but by a call."""
    data = await compiled(
        target("say_days", ("golden",)),
        agent=chat_agent(calls_per_turn=None),
        settings=CompileSettings(train=1, validation=1),
    )
    prompt = data.prompts[0]
    sale = next(iter(prompt.world["sales"]))
    other = next(sku for sku, it in prompt.world["sales"][sale]["items"].items() if it["status"] == "sold")
    it = Counterfactual(data.prompts, suite)

    async def share(text: str) -> float | None:
        return await it.share(prompt.reward_step(text))

    def call(**arguments: str) -> str:
        return json.dumps({"action": "refund_item", "arguments": {"tender": "card", **arguments}})

    try:
        assert await share(prompt.golden or "") == await share(reply("Never.")) == 1
        assert await share(call(sale_id="S-00000", sku=other)) == 1, (
            "refused, and the golden agent answers all the same"
        )
        assert await share(call(sale_id=sale, sku=other)) == 0, "neither that refund alone, nor the rest untouched"
    finally:
        it.close()


async def test_without_a_right_answer_there_is_nothing_to_hold_it_against(refunds: tuple[Prompt, ...]) -> None:
    bare = refunds[0].model_copy(update={"golden": None})
    it = Counterfactual([bare], suite)
    assert await it.share(bare.reward_step("x")) is None
    it.close()


async def test_a_world_that_is_not_what_it_was_is_told(refunds: tuple[Prompt, ...]) -> None:
    changed = refunds[0].model_copy(update={"world": {"sales": {}}})
    it = Counterfactual([changed], suite)
    try:
        with pytest.raises(RewardError, match="is not what it was when the prompt was made: its state is another"):
            await it.share(changed.reward_step(""))
        with pytest.raises(RewardError, match="is no prompt of this training"):
            await it.share(refunds[1].reward_step(""))
    finally:
        it.close()
    nowhere = Counterfactual(refunds, lambda: ())
    with pytest.raises(RewardError, match=f"there is no scenario {REFUND}"):
        await nowhere.share(refunds[0].reward_step(""))
    nowhere.close()


def rubric(reference: str) -> Rubric:
    return load_rubric(reference, ROOT / "rewards")


def test_a_rubric_with_it_passes_the_audit_and_is_the_same_again(refunds: tuple[Prompt, ...]) -> None:
    both = rubric("tool_call+outcome")
    assert both.plays_on
    assert not rubric("tool_call").plays_on

    def audited():  # type: ignore[no-untyped-def]
        with playing_on(refunds, suite):
            return asyncio.run(audit_rewards(both, refunds, 1))

    found = audited()
    assert found.passed, [str(it) for it in found.findings]
    by_kind = {it.kind: it.parts["outcome.what_follows"] for it in found.tallies}
    assert by_kind[Kind.GOLDEN] == 1
    assert by_kind[Kind.EMPTY] == by_kind[Kind.WRONG_TOOL] == pytest.approx(1 / 3)
    assert by_kind[Kind.WRONG_ARGUMENT] < 1
    assert audited() == found


def test_where_nothing_depends_on_the_step_the_audit_says_so() -> None:
    """A sale that is looked up wrongly does not change the till, and the golden agent refunds it all the same."""
    data = asyncio.run(compiled(target("find_sale", ("golden",)), settings=CompileSettings(train=2, validation=1)))
    with playing_on(data.prompts, suite):
        found = asyncio.run(audit_rewards(rubric("tool_call+outcome"), data.prompts, 1))
    assert not found.passed
    said = [it.found for it in found.findings if it.code == "never_fires"]
    assert len(said) == 1
    assert "outcome.what_follows" in said[0]
    assert "never differs: it is 1" in said[0]


def test_asked_where_nobody_plays_on_it_says_where_it_can_be(refunds: tuple[Prompt, ...]) -> None:
    with pytest.raises(RewardError, match=r"where the rest of its scenario can be played: in `agentkit tune`"):
        rubric("outcome").score(refunds[0].reward_step(""))


def test_another_process_loads_the_same_scenarios_or_none(refunds: tuple[Prompt, ...], tmp_path: Path) -> None:
    files = scenario_files(refunds, suite())
    assert [Path(file) for file in files] == [REFUND_FILE]
    assert {it.id: it.hash for it in same_scenarios(files)} == {REFUND: files[str(REFUND_FILE)]}
    assert same_scenarios({}) == ()
    with pytest.raises(UsageError, match=r"refund\.yaml: the scenario changed since the job was compiled"):
        same_scenarios(dict.fromkeys(files, "0" * 64))
