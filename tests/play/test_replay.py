"""One turn of a recorded trial again, from just before it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.config import Limits
from agentkit.errors import UsageError
from agentkit.llm import Budget
from agentkit.play.agent import Agent, Moment
from agentkit.play.agents.function import FunctionAgent
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.conversation import build_conversation
from agentkit.play.replay import Replay, place, replay
from agentkit.play.trial import Setting
from agentkit.records import RunId, Status, ToolCall, Trial, Verdict
from agentkit.scenario import Loaded
from agentkit.store import Store
from agentkit.tracing import Tracing
from tests.play.conftest import Play
from tests.play.fork_runs import play_forks


@pytest.fixture
def again(shop: tuple[Loaded, ...]) -> Any:
    """Replays a step of a trial of the shop."""

    async def played(trial: Trial, step: str, agent: Agent, samples: int = 1, seed: int = 0) -> Replay:
        setting = Setting(RunId("r"), agent, None, Limits(), seed, Tracing.off(), build_conversation())
        return await replay(trial, step, shop[0], setting, samples, 4)

    return played


def statuses(found: Replay, step: str) -> list[Status]:
    return [grade.status for sample in found.samples for grade in sample.steps if grade.step == step]


async def test_another_agent_at_the_same_place(play: Play, again: Any) -> None:
    _, (trial,) = await play(ScriptedAgent("weak", steps={"ship": 0.0}))
    assert place(trial, "ship").status is Status.FAILED
    found = await again(trial, "ship", ScriptedAgent("good"), samples=3)
    assert found.turn == 1
    assert found.recorded.status is Status.FAILED
    assert found.differences == ()
    assert statuses(found, "ship") == [Status.PASSED] * 3
    for sample in found.samples:
        assert sample.verdict is Verdict.OPEN
        assert {grade.step for grade in sample.steps} == {"ship", "says_shipped"}
        assert {message.turn for message in sample.messages} == {1}


async def test_a_recorded_turn_comes_out_as_it_was(play: Play, again: Any) -> None:
    async def act(moment: Moment) -> Any:
        return await ScriptedAgent("g").act(replace(moment, seed=1))  # takes no notice of which sample it is

    agent = FunctionAgent("f", act)
    _, (trial,) = await play(agent)
    for step in ("look_up", "ship", "offers_help"):
        found = await again(trial, step, agent, samples=2)
        recorded = [(m.role, m.content, m.tool_calls) for m in trial.messages if m.turn == found.turn][1:]
        for sample in found.samples:
            assert [(m.role, m.content, m.tool_calls) for m in sample.messages] == recorded
            assert [(g.step, g.status) for g in sample.steps] == [
                (g.step, g.status) for g in trial.steps if g.turn == found.turn
            ]


async def test_calls_of_several_turns_may_have_the_same_id(play: Play, again: Any) -> None:
    async def act(moment: Moment) -> str:
        order = moment.messages[0].content.split()[-1].rstrip("?")
        await moment.call_tool(ToolCall("c", ("look_up", "ship", "explode")[moment.turn], {"order_id": order}))
        return "shipped?"

    _, (trial,) = await play(FunctionAgent("f", act))
    assert [call.id for m in trial.messages for call in m.tool_calls] == ["c"] * 3
    assert (await again(trial, "offers_help", ScriptedAgent("good"))).differences == ()


async def test_samples_differ_and_are_the_same_the_next_time(play: Play, again: Any) -> None:
    _, (trial,) = await play(ScriptedAgent("s"))
    first = await again(trial, "ship", ScriptedAgent("s", 0.5), samples=20)
    assert set(statuses(first, "ship")) == {Status.PASSED, Status.FAILED}
    second = await again(trial, "ship", ScriptedAgent("s", 0.5), samples=20)
    assert statuses(first, "ship") == statuses(second, "ship")


async def test_faults_strike_again_as_they_did(play: Play, again: Any) -> None:
    _, (trial,) = await play(ScriptedAgent("s"), variants=("tool:error@1",))
    found = await again(trial, "ship", ScriptedAgent("s"))
    assert found.differences == ()
    assert [m.planted for m in found.samples[0].messages if m.role == "tool"] == ["tool:error", None]


async def test_a_fork_is_replayed_from_its_history(
    shop: tuple[Loaded, ...], store: Store, tmp_path: Path, again: Any
) -> None:
    forks = await play_forks(ScriptedAgent("s"), shop, store, tmp_path, variants=("golden", "tool:error@1"))
    (trial,) = forks.of("tool:error@1", 1)
    found = await again(trial, "ship", ScriptedAgent("s"))
    assert found.differences == ()
    assert [m.planted for m in found.samples[0].messages if m.role == "tool"] == ["tool:error", None]
    with pytest.raises(UsageError, match="fork of turn 2, and look_up is not of that turn"):
        place(trial, "look_up")


async def test_a_world_that_answers_otherwise_is_told(play: Play, again: Any) -> None:
    _, (trial,) = await play(ScriptedAgent("s"))
    other = tuple(replace(m, content='{"item": "boat"}') if m.name == "look_up" else m for m in trial.messages)
    found = await again(replace(trial, messages=other), "ship", ScriptedAgent("s"))
    assert len(found.differences) == 1
    assert "in turn 1, look_up answered" in found.differences[0]
    assert "boat" in found.differences[0]


async def test_a_limit_leaves_fewer_samples(play: Play, again: Any) -> None:
    async def polite(moment: Moment) -> str:
        return "Certainly."

    _, (trial,) = await play(ScriptedAgent("s"))
    found = await again(trial, "offers_help", FunctionAgent("f", polite, budget=Budget(3)), samples=10)
    assert len(found.samples) == 3
    assert "the limit of 3 model calls is reached" in found.stopped


async def test_places_that_cannot_be_replayed(play: Play) -> None:
    async def raising(moment: Moment) -> str:
        raise KeyError("oops")

    _, (cut,) = await play(FunctionAgent("f", raising))
    _, (void,) = await play(ScriptedAgent("s"), variants=("second_thoughts",))
    with pytest.raises(UsageError, match="did you mean 'ship'"):
        place(cut, "shipp")
    with pytest.raises(UsageError, match="ship was not reached in this trial: its turn never began"):
        place(cut, "ship")
    with pytest.raises(UsageError, match="ship was not reached in this trial: void"):
        place(void, "ship")
