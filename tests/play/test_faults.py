"""Tools that misbehave on purpose, played: the harness disturbs as it says, and a right agent passes all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from agentkit.config import Limits
from agentkit.config import ScriptedAgent as ScriptedSettings
from agentkit.llm import Budget
from agentkit.play.agent import Agent, Moment
from agentkit.play.agents.function import FunctionAgent
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.disturbed import FaultyWorld
from agentkit.play.session import RunSettings, open_session, play_session
from agentkit.records import Effect, Message, Party, Status, ToolCall, Trial, Verdict
from agentkit.scenario import Loaded, ToolResult, load
from agentkit.scenario.detours import CATALOGUE, Strike
from agentkit.scenario.detours.tool import TOOL_FAULTS, ToolError
from agentkit.scenario.detours.tool.slow import Slow
from agentkit.store import Store
from tests.play.conftest import Play

SHIPPED = Path(__file__).parents[2] / "scenarios"
FAULTS = [f"tool:{kind.name}" for kind in TOOL_FAULTS]
STEPS = {f"tool_{kind.name}" for kind in TOOL_FAULTS if kind().due()}


class Hasty(Slow):
    """As slow, for a test."""

    seconds: float = 0.02


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast(MutableMapping[str, Any], CATALOGUE), "tool:slow", Hasty)


@pytest.fixture(scope="module")
def shipped() -> tuple[Loaded, ...]:
    return load([SHIPPED])


async def played(
    agent: Agent, scenarios: Sequence[Loaded], cells: Sequence[tuple[str, str]], folder: Path, trials: int = 1
) -> list[Trial]:
    settings = RunSettings(
        paths=(),
        agent=agent.name,
        agent_settings=ScriptedSettings(kind="scripted"),
        variants=tuple(cells),
        trials=trials,
        concurrency=32,
    )
    with Store.open(f"sqlite:///{folder}/store.db") as store:
        session = open_session(settings, scenarios, agent, store)
        run = await play_session(
            session, agent, judge=None, budget=Budget(), trace_folder=folder / "traces", listener=lambda progress: None
        )
        return list(store.trials(run.id))


def statuses(trials: Sequence[Trial]) -> set[Status]:
    return {grade.status for trial in trials for grade in (*trial.steps, *trial.outcome)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "dose", [pytest.param(0.3, marks=pytest.mark.slow), pytest.param(0.6, marks=pytest.mark.slow), 1]
)
async def test_a_perfect_agent_passes_every_step_of_the_shipped_suites(
    shipped: tuple[Loaded, ...], tmp_path: Path, dose: float
) -> None:
    cells = [(loaded.id, f"{fault}@{dose:g}") for loaded in shipped for fault in FAULTS]
    trials = await played(ScriptedAgent("s", 1.0), shipped, cells, tmp_path)
    assert {trial.verdict for trial in trials} == {Verdict.SUCCESS}
    assert statuses(trials) <= {Status.PASSED, Status.NOT_REACHED}
    effects = Counter((it.detour, it.effect) for trial in trials for it in trial.disturbances)
    assert not [key for key in effects if key[1] is Effect.SUPPRESSED]
    struck = {detour for detour, effect in effects if effect is Effect.TRIGGERED}
    assert struck | {"tool:stale"} == {*FAULTS}
    assert dose < 1 or "tool:stale" in struck  # on one golden path alone something is read that was written before
    passed = {g.step for trial in trials for g in trial.steps if g.status is Status.PASSED}
    assert passed >= STEPS


@pytest.mark.slow
async def test_it_does_so_off_the_golden_path_too(shipped: tuple[Loaded, ...], tmp_path: Path) -> None:
    cells = [
        (loaded.id, f"{variant}+{fault}@1") for loaded in shipped for variant in loaded.variants[1:] for fault in FAULTS
    ]
    trials = await played(ScriptedAgent("s", 1.0), shipped, cells, tmp_path)
    assert {trial.verdict for trial in trials} == {Verdict.SUCCESS}
    assert statuses(trials) <= {Status.PASSED, Status.NOT_REACHED}


@pytest.mark.slow
async def test_a_hopeless_agent_fails_every_step_of_the_shipped_suites(
    shipped: tuple[Loaded, ...], tmp_path: Path
) -> None:
    cells = [(loaded.id, f"{fault}@1") for loaded in shipped for fault in FAULTS]
    trials = await played(ScriptedAgent("s", 0.0), shipped, cells, tmp_path)
    assert {trial.verdict for trial in trials} == {Verdict.FAILURE}
    assert {g.status for trial in trials for g in trial.steps} == {Status.FAILED, Status.NOT_REACHED}


@pytest.mark.slow
@pytest.mark.parametrize("step", sorted(STEPS))
async def test_the_fault_s_own_step_has_an_accuracy_of_its_own(play: Play, step: str) -> None:
    fault = step.replace("_", ":", 1)
    for accuracy, number, least, most in ((0.0, 5, 0, 0), (0.5, 20, 4, 16)):
        agent = ScriptedAgent("s", 1.0, {step: accuracy})
        _, trials = await play(agent, trials=number, variants=(f"{fault}@1",))
        grades = Counter(g.status for trial in trials for g in trial.steps if g.step == step)
        assert grades[Status.PASSED] + grades[Status.FAILED] == number
        assert least <= grades[Status.PASSED] <= most
        others = {g.status for trial in trials for g in trial.steps if g.step != step}
        assert others == {Status.PASSED}  # the steps stand apart


async def test_a_fault_without_occasion_leaves_a_valid_trial_and_no_step(play: Play) -> None:
    async def idle(moment: Moment) -> str:
        return "Hello?"

    _, (trial,) = await play(FunctionAgent("f", idle), variants=("tool:error@1",))
    assert trial.verdict is Verdict.FAILURE
    assert [it.effect for it in trial.disturbances] == [Effect.NOT_TRIGGERED]
    assert {g.step: g.status for g in trial.steps}["tool_error"] is Status.NOT_REACHED
    assert {g.step: g.status for g in trial.steps}["look_up"] is Status.FAILED


async def test_a_disturbance_that_the_harness_fails_to_plant_makes_the_trial_invalid(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def undisturbed(self: FaultyWorld, name: str, arguments: Mapping[str, Any] | None) -> ToolResult:
        return await self._world.call(name, arguments)

    monkeypatch.setattr(FaultyWorld, "call", undisturbed)
    _, (trial,) = await play(ScriptedAgent("s", 1.0), variants=("tool:error@1",))
    assert (trial.verdict, trial.fault) == (Verdict.INVALID, Party.HARNESS)
    assert "tool:error" in trial.reason


@pytest.mark.parametrize("own_tools", [False, True])
async def test_a_fault_that_fails_is_no_fault_of_the_agent(
    play: Play, monkeypatch: pytest.MonkeyPatch, own_tools: bool
) -> None:
    async def breaks(self: ToolError, strike: Strike) -> ToolResult:
        raise KeyError("a defect")

    async def act(moment: Moment) -> str:
        order = moment.messages[0].content.split()[-1].rstrip("?")
        await moment.call_tool(ToolCall("c", "look_up", {"order_id": order}))
        return "shipped"

    monkeypatch.setattr(ToolError, "disturb", breaks)
    agent = FunctionAgent("f", act) if own_tools else ScriptedAgent("s", 1.0)
    _, (trial,) = await play(agent, variants=("tool:error@1",))
    assert (trial.verdict, trial.fault) == (Verdict.INVALID, Party.HARNESS)
    assert trial.reason == "tool:error could not disturb a call of look_up: KeyError: 'a defect'"


async def test_an_agent_that_gives_up_fails_the_step_and_one_that_claims_success_the_outcome(play: Play) -> None:
    async def act(moment: Moment) -> Any:
        if moment.messages[-1].role == "user" and moment.turn < 2:
            order = moment.messages[0].content.split()[-1].rstrip("?")
            name = ("look_up", "ship")[moment.turn]
            return Message("assistant", "", tool_calls=(ToolCall(f"c{moment.turn}", name, {"order_id": order}),))
        return "The kettle, lamp or jacket was shipped. Anything else?"

    _, (trial,) = await play(FunctionAgent("f", act), variants=("tool:timeout@1",))
    grades = {g.step: g for g in trial.steps}
    assert grades["look_up"].status is grades["ship"].status is Status.PASSED  # rightly called
    assert grades["tool_timeout"].status is Status.FAILED
    assert grades["tool_timeout"].span_id is not None
    assert trial.verdict is Verdict.FAILURE
    assert trial.outcome[0].step == "is_shipped"


async def test_calls_made_side_by_side_do_not_meet_a_rewound_world(play: Play) -> None:
    import asyncio

    async def act(moment: Moment) -> str:
        order = moment.messages[0].content.split()[-1].rstrip("?")
        names = ("look_up", "look_up", "ship", "ship") if moment.turn == 1 else ("look_up",)
        calls = [ToolCall(f"c{moment.turn}-{n}", name, {"order_id": order}) for n, name in enumerate(names)]
        await asyncio.gather(*(moment.call_tool(call) for call in calls))
        return "shipped"

    _, (trial,) = await play(FunctionAgent("f", act), variants=("tool:not_done@1+tool:stale@1",))
    assert trial.verdict is Verdict.SUCCESS, trial.reason
    assert [it.effect for it in trial.disturbances] == [Effect.TRIGGERED, Effect.TRIGGERED]


@pytest.mark.slow
async def test_a_planted_delay_is_neither_the_tools_time_nor_the_agents(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hasty, "delay", 0.5)

    async def act(moment: Moment) -> str:
        order = moment.messages[0].content.split()[-1].rstrip("?")
        await moment.call_tool(ToolCall(f"c{moment.turn}", "ship", {"order_id": order}))
        return "shipped"

    limits = Limits(seconds=0.4, tool_seconds=0.4)
    _, (trial,) = await play(FunctionAgent("f", act), variants=("tool:slow@1",), limits=limits)
    assert trial.verdict is Verdict.SUCCESS, trial.reason
    assert [m.duration >= 0.5 for m in trial.messages if m.planted and m.duration] == [True]


OWN = """
  - id: till_is_down
    disturb: [{use: tool:timeout, tools: [ship], times: 20}]
    replaces:
      - {id: says_shipped, reply: {mentions: ["not shipped"], not_mentions: ["is shipped"]}}
    outcome:
      - {id: not_shipped, state: {"orders/{{ order_id }}/status": open}}
      - {id: nothing_claimed, reply: {not_mentions: ["is shipped"]}}
  - id: till_is_slow
    disturb: [{use: tool:timeout, tools: [ship], times: 3}, {use: tool:empty, tools: [look_up]}]
"""


async def test_a_scenario_s_own_detour_places_words_and_expects_a_fault(tmp_path: Path, shop: Any) -> None:
    (tmp_path / "shop").mkdir()
    for file in (Path(__file__).parent / "shop").iterdir():
        if file.is_file():
            (tmp_path / "shop" / file.name).write_text(file.read_text() + (OWN if file.name == "five.yaml" else ""))
    (loaded,) = load([tmp_path / "shop"])
    cells = [(loaded.id, variant) for variant in ("till_is_down", "till_is_slow", "till_is_down+tool:error@1")]
    down, slow, both = await played(ScriptedAgent("s", 1.0), [loaded], cells, tmp_path)
    assert [trial.verdict for trial in (down, slow, both)] == [Verdict.SUCCESS] * 3
    assert statuses([down, slow, both]) == {Status.PASSED}
    assert [it.detour for it in both.disturbances] == ["tool:timeout", "tool:error"]
    assert not [g for g in down.steps if g.step == "tool_timeout"]  # for good: its own outcome says what is right
    assert {g.step for g in slow.steps} >= {"tool_timeout", "tool_empty"}
    tried = [m.planted for m in slow.messages if m.name == "ship"]
    assert tried == ["tool:timeout"] * 3 + [None]
    (failed,) = await played(ScriptedAgent("t", 1.0, {"says_shipped": 0.0}), [loaded], cells[:1], tmp_path)
    assert failed.verdict is Verdict.FAILURE
