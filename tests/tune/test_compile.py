from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from agentkit.config import ScriptedAgent
from agentkit.errors import NotJudged, UsageError
from agentkit.llm import ChatRequest
from agentkit.llm.wire import encode
from agentkit.records import Status
from agentkit.scenario import Loaded, load
from agentkit.store import Store
from agentkit.tune.compile import Below, CompileSettings, silent_agent
from agentkit.tune.prompt import Split, of_target, prompt_lines
from agentkit.tune.regress import Mended, keep
from agentkit.tune.target import choose_target
from tests.tune.compiled import REFUND, ROOT, SMALL, chat_agent, compiled, suite, target
from tests.tune.played import clerk, play


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def refund_only() -> list[Loaded]:
    return [it for it in suite() if it.id == REFUND]


@pytest.mark.slow
async def test_recorded_failures_come_first_and_are_what_the_agent_was_asked(store: Store, tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: ChatRequest) -> str:
        asked.append({key: value for key, value in encode(request, "").items() if key != "model"})
        return clerk(request)

    run = await play(store, chat_agent(answer), tmp_path / "traces")
    chosen = choose_target(store, run, refund_only(), step="refund")
    assert (chosen.name, chosen.passed, chosen.reached) == ("refund", 0, 6)
    settings = CompileSettings(train=10, validation=2, held_out=6)
    data = await compiled(
        chosen, agent=silent_agent(run), settings=settings, trials=list(store.trials(run.id)), run=run
    )
    train = [prompt for prompt in data.prompts if prompt.split is Split.TRAIN]
    recorded = [prompt for prompt in train if prompt.origin != "golden"]
    assert len(train) == 10
    assert len(recorded) == 6
    assert train[:6] == recorded
    assert all(prompt.request in asked for prompt in recorded), "word for word what the model was asked in the run"
    assert all(prompt.origin.startswith(f"{run.id}/") for prompt in recorded)
    guards = [prompt for prompt in data.prompts if prompt.split is Split.GUARD]
    assert {(it.scenario, it.step) for it in guards} >= {("point_of_sale/refund", "find_sale")}
    assert not {(it.scenario, it.step) for it in guards} & {("point_of_sale/refund", "refund")}
    assert [(await it.grade(it.golden or "")).status for it in guards] == [Status.PASSED] * len(guards)
    for prompt in of_target(data.prompts):
        assert prompt.golden is not None
        assert (await prompt.grade(prompt.golden)).status is Status.PASSED
        cash = orjson.dumps({**orjson.loads(prompt.golden), "arguments": {"tender": "cash"}}).decode()
        assert (await prompt.grade(cash)).status is Status.FAILED
        assert prompt.world["refunds"] == []


async def test_moments_are_of_the_conversations_that_are_held_out_and_share_nothing_with_the_prompts() -> None:
    data = await compiled()
    held_out = [(it.scenario, it.variant, it.instance) for it in data.held_out]
    assert [(it.scenario, it.variant, it.instance) for it in data.moments] == held_out
    assert {it.split for it in data.moments} == {Split.HELD_OUT}
    assert {it.step for it in data.moments} == {"refund"}
    assert not {it.instance for it in data.moments} & {it.instance for it in data.prompts}
    fewer = await compiled(settings=SMALL.model_copy(update={"moments": 3}))
    assert fewer.moments == data.moments[:3]
    assert fewer.held_out == data.held_out
    assert fewer.prompts == data.prompts
    assert {it.variant for it in fewer.moments} == {"golden", "cash_instead"}, "every variant in turn"


async def test_nothing_is_drawn_again_that_adapters_below_have_seen() -> None:
    wanted = target("find_sale", ("golden",))
    one, other = (CompileSettings(train=2, validation=1, held_out=4, guards=0, seed=seed) for seed in (3, 1))
    first, second = await compiled(wanted, settings=one), await compiled(wanted, settings=other)
    seen = frozenset(it.instance for it in (*first.prompts, *first.held_out))
    below = Below(seen, first.wordings, ("a-v1-3fa9: gone",))
    again = await compiled(wanted, settings=one, below=below)
    assert not seen & {it.instance for it in (*again.prompts, *again.held_out, *again.moments)}
    assert again.unknown == below.unknown
    assert first.wordings != second.wordings
    assert (await compiled(wanted, settings=other, below=below)).wordings == first.wordings, "held out once and always"


async def test_a_request_of_a_fresh_instance_is_made_by_the_agent_itself() -> None:
    agent = chat_agent()
    data = await compiled(agent=agent)
    for prompt in data.prompts:
        loaded = next(it for it in suite() if it.id == prompt.scenario)
        made = agent.request(prompt.history, turn=prompt.turn, tools=loaded.tools, policy=loaded.suite.policy, seed=1)
        body = encode(made, "")
        body.pop("model")
        assert prompt.request == body
        assert prompt.dialect == "guided"
        assert prompt.golden is not None
        assert list(orjson.loads(prompt.golden)["arguments"]) == ["sale_id", "sku", "tender"]


async def test_variants_have_equal_shares_and_equal_arguments_give_equal_bytes() -> None:
    one, two = await compiled(), await compiled()
    assert prompt_lines(one.prompts) == prompt_lines(two.prompts)
    assert one.held_out == two.held_out
    for split, each in ((Split.TRAIN, 2), (Split.VALIDATION, 1)):
        variants = [prompt.variant for prompt in one.prompts if prompt.split is split]
        assert {name: variants.count(name) for name in variants} == {"golden": each, "cash_instead": each}


async def test_a_model_that_knows_tools_gets_its_own_dialect() -> None:
    data = await compiled(agent=chat_agent(guided=False, calls_per_turn=None))
    prompt = data.prompts[0]
    assert prompt.dialect == "hermes"
    assert len(prompt.request["tools"]) == 10
    assert prompt.golden is not None
    assert prompt.golden.startswith('<tool_call>\n{"name": "refund_item", "arguments": {"sale_id": "S-')
    assert prompt.read(prompt.golden).calls[0].name == "refund_item"


async def test_an_answer_after_the_calls_of_its_turn_is_plain_text_where_no_tools_are_offered() -> None:
    data = await compiled(target("say_amount"))
    for prompt in data.prompts:
        assert prompt.dialect == "hermes"
        assert prompt.schema_ is None
        assert prompt.history[-1].role == "tool"
        assert prompt.golden is not None
        assert str(prompt.variables["price"]) in prompt.golden
        assert prompt.world["refunds"], "the refund of this turn is done already"


async def test_a_step_that_forbids_other_calls_is_decided_by_the_first_move_and_allows_the_expected_one() -> None:
    data = await compiled(target("no_haste", ("golden",)))
    prompt = data.prompts[0]
    assert prompt.golden is not None
    assert orjson.loads(prompt.golden)["action"] == "look_up_sale"
    wrong = '{"action": "refund_item", "arguments": {"sale_id": "S-1", "sku": "SKU-1", "tender": "card"}}'
    assert (await prompt.grade(wrong)).status is Status.FAILED


@pytest.mark.slow
async def test_a_call_cannot_be_trained_where_the_agent_may_make_none() -> None:
    with pytest.raises(UsageError, match=r"0 of 4 prompts for train could be made: .*no tools are offered here"):
        await compiled(agent=replace(chat_agent(), calls_per_turn=0))


async def test_a_step_that_never_failed_or_cannot_be_trained_is_refused_with_the_reason(
    store: Store, tmp_path: Path
) -> None:
    run = await play(store, chat_agent(clerk), tmp_path / "traces", trials=1)
    for step, message in (
        ("find_sale", r"find_sale never failed in run .*: 2 of 2 were right, so there is nothing to train"),
        ("item_refunded", r"tune the step that acts: refund"),
        ("refunded_to_card", r"is a check on the outcome"),
        ("refnd", r"no step 'refnd' \(did you mean 'refund'\?\)"),
        ("skill:refnd", r"no step has the skill 'refnd' \(did you mean 'refund'\?\)"),
    ):
        with pytest.raises(UsageError, match=message):
            choose_target(store, run, refund_only(), step=step)
    with pytest.raises(UsageError, match="expected one of --step and --worst"):
        choose_target(store, run, refund_only())
    with pytest.raises(NotJudged, match="never graded"):
        choose_target(
            store, await play(store, chat_agent(_mute), tmp_path / "t", trials=1), refund_only(), step="refund"
        )


def _mute(request: ChatRequest) -> Any:
    raise ValueError("no answer")


async def test_the_worst_step_is_the_one_whose_repair_gives_the_most(store: Store, tmp_path: Path) -> None:
    run = await play(store, chat_agent(clerk), tmp_path / "traces")
    found = choose_target(store, run, refund_only(), worst=True)
    assert found.name == "refund"
    assert [it.variant for it in found.steps] == ["golden", "cash_instead"]
    skill = choose_target(store, run, refund_only(), step="skill:refund")
    assert {it.step for it in skill.steps} == {"refund"}
    assert any("item_refunded" in it and "the world's state" in it for it in skill.left_out)


async def test_a_regression_is_played_and_never_trained_on(store: Store, tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "scenarios" / "point_of_sale", tmp_path / "point_of_sale")
    loaded = load([folder / "refund.yaml"])
    pinned = load(keep([Mended(0, 1017, REFUND, "golden", "refund")], loaded).files)
    both = [*loaded, *pinned]
    run = await play(store, chat_agent(clerk), tmp_path / "traces", trials=1, variants=("golden",), scenarios=both)
    assert {it.scenario for it in choose_target(store, run, both, worst=True).steps} == {REFUND}
    chosen = choose_target(store, run, both, step="refund")
    assert [it.id for it in chosen.steps] == [f"{REFUND}/golden#refund"]
    (left_out,) = chosen.left_out
    assert left_out.startswith(f"{pinned[0].id}/golden#refund: its scenario has the tag 'regression'")
    with pytest.raises(UsageError, match=r"nothing to train: .* pins one conversation down"):
        choose_target(store, run, both, step=f"{pinned[0].id}/golden#refund")


async def test_a_run_whose_model_cannot_be_trained_or_of_a_changed_scenario_is_refused(
    store: Store, tmp_path: Path
) -> None:
    run = await play(store, chat_agent(clerk), tmp_path / "traces", trials=1)
    scripted = replace(run, settings={**run.settings, "agent_settings": ScriptedAgent(kind="scripted").model_dump()})
    with pytest.raises(UsageError, match="an agent of kind 'scripted': only the model of an agent of kind 'chat'"):
        choose_target(store, scripted, refund_only(), step="refund")
    for told, message in (
        ({"engine": None}, r"by demo, whose model is served elsewhere \(https://api\.openai\.com/v1\): only a model"),
        (
            {"adapters": ("refund-v1-3fa9",)},
            "by demo with the adapters refund-v1-3fa9: what is trained can go on top of one, which the agent's name",
        ),
    ):
        settings = {**run.settings, "agent_settings": run.settings["agent_settings"] | told}
        with pytest.raises(UsageError, match=message):
            choose_target(store, replace(run, settings=settings), refund_only(), step="refund")
    adapted = {**run.settings, "agent_settings": run.settings["agent_settings"] | {"adapters": ("a", "b")}}
    with pytest.raises(UsageError, match="with the adapters a, b: what is trained can go on top of one"):
        choose_target(store, replace(run, agent="demo+a+b", settings=adapted), refund_only(), step="refund")
    changed = [replace(it, hash="0" * 64) for it in refund_only()]
    with pytest.raises(UsageError, match=f"{REFUND} changed since run {run.id} was played: play it as it is now"):
        choose_target(store, run, changed, step="refund")
