"""Users who go once they have what they came for: the outcome decides, and what is left was not reached."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.config import Config, ScriptedAgent, TemplatedUser
from agentkit.loop.play import Runs
from agentkit.play.regrade_run import regrade_run
from agentkit.play.user import Cue, UserLeft
from agentkit.play.users import templated
from agentkit.records import Party, Status, Stop, Trial, Verdict
from agentkit.scenario import load
from agentkit.store import Store
from agentkit.tracing import Tracing

REFUND = "scenarios/point_of_sale/refund.yaml"
"""Calls are due in its first two turns, none in its third."""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.setattr("agentkit.loop.play._TRACES", tmp_path / "traces")
    shopper = TemplatedUser(kind="templated", leaves=True)
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        yield Runs(store, Config(users={"shopper": shopper}), (REFUND,))


def played(runs: Runs, user: str, **steps: float) -> list[Trial]:
    agent = ScriptedAgent(kind="scripted", steps=steps)
    settings = runs.settings("scripted", agent, runs.scenarios(), detours="none", trials=4, seed=5, user=user)
    return list(runs.store.trials(runs.play(settings).id))


def test_they_go_before_a_turn_from_which_on_no_call_is_due(runs: Runs) -> None:
    for trial in played(runs, "shopper"):
        assert max(it.turn for it in trial.messages) == 1
        assert (trial.verdict, trial.stop, trial.fault) == (Verdict.SUCCESS, Stop.USER_LEFT, None)
        found = {it.step: it.status for it in trial.steps}
        assert found["refund"] is Status.PASSED
        assert {found["say_days"], found["just_answer"]} == {Status.NOT_REACHED}
        assert "left" in trial.reason
    for trial in played(runs, "templated"):
        assert max(it.turn for it in trial.messages) == 2
        assert trial.stop is Stop.COMPLETED


def test_the_outcome_counts_all_the_same(runs: Runs) -> None:
    for trial in played(runs, "shopper", refund=0.0):
        assert (trial.verdict, trial.stop, trial.fault) == (Verdict.FAILURE, Stop.USER_LEFT, Party.AGENT)


def test_they_leave_no_error_in_the_trace_and_grade_again_as_they_were(runs: Runs, tmp_path: Path) -> None:
    trials = played(runs, "shopper")
    lines = [json.loads(it) for file in tmp_path.rglob("*traces*.jsonl") for it in file.read_text().splitlines()]
    spans = [it for line in lines for r in line["resourceSpans"] for s in r["scopeSpans"] for it in s["spans"]]
    assert len([it for it in spans if it["name"].startswith("invoke_workflow")]) == len(trials)
    assert not [it for it in spans if any(a["key"] == "error.type" for a in it["attributes"])]
    difference = asyncio.run(regrade_run(runs.store.run(trials[0].run), runs.scenarios(), runs.store))
    for before, after in zip(trials, runs.store.trials(difference.run.id), strict=True):
        assert (before.verdict, before.stop, before.steps) == (after.verdict, after.stop, after.steps)


@pytest.mark.parametrize(("leaves", "turn", "goes"), [(True, 0, False), (True, 2, True), (False, 2, False)])
async def test_nobody_goes_before_anything_was_done_for_them(leaves: bool, turn: int, goes: bool) -> None:
    (loaded,) = load([Path(REFUND)])
    span = Tracing.off().trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a")
    said = templated.TemplatedUser("t", leaves=leaves).say(Cue(loaded.draw("golden", 3), turn, (), loaded.tools, span))
    if goes:
        with pytest.raises(UserLeft):
            await said
    else:
        assert (await said).content


def test_to_leave_is_part_of_the_definition() -> None:
    assert templated.TemplatedUser("t").definition() != templated.TemplatedUser("t", leaves=True).definition()
