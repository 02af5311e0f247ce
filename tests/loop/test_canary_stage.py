"""What was certified meets users as a canary, and is promoted or thrown out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentkit.errors import AgentkitError, UsageError
from agentkit.loop import stages as module
from agentkit.loop.stages import STAGES
from agentkit.loop.turn import Turn, approve
from agentkit.records import AdapterState, Arm, Target, TargetKind
from agentkit.serve.routes import end_canary, newest, promote, rollback, set_canary, set_live
from agentkit.store import Store, stamp
from tests.loop.turns import ADAPTER, BASE, config, judged_traffic, outcomes, traffic
from tests.serve.canary.traffic import exchange
from tests.store.records import make_adapter


def test_a_canary_waits_for_another_one_and_a_person_can_end_the_turn(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Target(TargetKind.ADAPTER, "other-v1-0000")
    store.add_adapter(make_adapter(other.name, hash="11" * 32))
    set_canary(store, "till", "*", other, 0.1, by="ada", why="to be tried")
    traffic(store, 4)
    done = Turn.open(store, config(approve=False)).go(STAGES)
    assert (done.stage, done.outcome) == ("canary", "waiting")
    assert other.name in done.why
    end_canary(store, "till", "*", by="ada", why="tried")

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.time, "sleep", stop)
    with pytest.raises(KeyboardInterrupt):
        Turn.open(store, config(approve=False)).go(STAGES)
    assert [it.canary for it in newest(store).routes if it.canary] == [ADAPTER]
    it = module.abandon(store, "till", by="ada", why="not this week")
    assert (it.stage, it.outcome, it.evidence["by"]) == ("canary", "abandoned", "ada")
    assert all(route.canary is None for route in newest(store).routes)
    with pytest.raises(UsageError, match="no turn of the loop is under way for till"):
        module.abandon(store, "till", by="ada", why="again")
    assert Turn.open(store, config()).id != it.turn


def test_abandoning_a_turn_that_was_killed_as_its_canary_began_takes_the_canary_back(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any, **more: Any) -> None:
        set_canary(*args, **more)
        raise KeyboardInterrupt

    traffic(store, 4)
    with monkeypatch.context() as patch:
        patch.setattr(module, "set_canary", killed)
        with pytest.raises(KeyboardInterrupt):
            Turn.open(store, config(approve=False)).go(STAGES)
    assert [it.canary for it in newest(store).routes if it.canary] == [ADAPTER]
    assert module.abandon(store, "till", by="ada", why="not this week").stage == "approve"
    assert all(route.canary is None for route in newest(store).routes)


def test_a_turn_waits_for_a_person_then_for_the_canary_and_promotes(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic(store, 4)
    done = Turn.open(store, config()).go(STAGES)
    assert (done.stage, done.outcome) == ("approve", "waiting")
    assert store.adapter(ADAPTER.name).state is AdapterState.CANDIDATE, "it meets nobody before"
    approve(store, "till", by="ada", agreed=True)

    def users_talk(seconds: float) -> None:
        judged_traffic(store, {Arm.LIVE: 0.2, Arm.CANARY: 0.9})

    monkeypatch.setattr(module.time, "sleep", users_talk)
    turn = Turn.open(store, config())
    done = turn.go(STAGES)
    assert (done.stage, done.outcome) == ("promote", "promoted")
    assert trained == {"play": 1, "tune": 1}, "what was decided is not done again"
    assert store.adapter(ADAPTER.name).state is AdapterState.LIVE
    assert next(it.live for it in newest(store).routes if it.agent == "till") == ADAPTER
    assert [stage for stage, _ in outcomes(store, turn)] == [
        *("collect", "draft", "play", "play", "tune", "tune", "approve", "approve", "canary", "canary", "promote")
    ]
    revision = newest(store).number
    assert module.promoted(turn).outcome == "promoted", "killed before it was written down, it finds it done"
    assert newest(store).number == revision
    rollback(store, by="ada", why="taken back by hand")
    assert module.promoted(turn).outcome == "thrown out"
    clean = turn.decided["canary"]
    assert clean.outcome == "clean"
    assert clean.evidence["judgement"]["verdict"] == "clean"


def test_a_canary_is_not_waited_for_where_there_will_be_no_more_traffic(store: Store, trained: dict[str, int]) -> None:
    def gone() -> None:
        raise AgentkitError("the simulated users could not go on")

    traffic(store, 4)
    with pytest.raises(AgentkitError, match="the simulated users could not go on"):
        Turn.open(store, config(approve=False), check_traffic=gone).go(STAGES)


def test_an_outage_holds_the_promotion_no_longer_than_the_window_of_the_objectives(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)

    def users_talk(seconds: float) -> None:
        judged_traffic(store, {Arm.LIVE: 0.2, Arm.CANARY: 0.9})
        down = {"revision": 1, "arm": Arm.LIVE, "target": BASE, "at": stamp(datetime.now(UTC)), "status": 503}
        store.add_exchanges([exchange(f"down-{number}", **down) for number in range(50)])

    traffic(store, 4)
    monkeypatch.setattr(module.time, "sleep", users_talk)
    done = Turn.open(store, config(approve=False)).go(STAGES)
    assert (done.stage, done.outcome) == ("promote", "waiting")
    assert done.why == "not while objectives are missed: availability 85.71% of 350 requests, objective 99.00%"
    soon = Turn.open(store, config(approve=False), clock=lambda: now + timedelta(minutes=50))
    assert soon.go(STAGES).outcome == "waiting"
    later = Turn.open(store, config(approve=False), clock=lambda: now + timedelta(minutes=70))
    assert later.go(STAGES).outcome == "promoted"


def test_a_canary_that_is_worse_ends_the_turn(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic(store, 4)

    def watched(seconds: float) -> None:
        end_canary(store, "till", "*", by="canary", why="worse than what is live", repin=True)

    monkeypatch.setattr(module.time, "sleep", watched)
    turn = Turn.open(store, config(approve=False))
    done = turn.go(STAGES)
    assert (done.stage, done.outcome) == ("canary", "thrown out")
    assert "worse than what is live" in done.why
    assert store.adapter(ADAPTER.name).state is not AdapterState.LIVE


@pytest.mark.parametrize("stage", ["canary", "promote"])
@pytest.mark.parametrize("change", ["live", "step"])
def test_a_canary_is_thrown_out_once_something_else_answers_than_it_was_proved_against(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch, stage: str, change: str
) -> None:
    other = Target(TargetKind.ADAPTER, "other-v1-0000")
    store.add_adapter(make_adapter(other.name, hash="11" * 32))

    def changed(*_: object) -> list[str]:
        step = "*" if change == "live" else "greet"
        set_live(store, "till", step, other, by="ada", why="an incident", force=True)
        return ["availability 90%"]

    def users_talk(seconds: float) -> None:
        judged_traffic(store, {Arm.LIVE: 0.2, Arm.CANARY: 0.9})
        if stage == "canary":
            changed()

    traffic(store, 4)
    monkeypatch.setattr(module.time, "sleep", users_talk)
    with monkeypatch.context() as patch:
        if stage == "promote":
            patch.setattr(module, "breaches", changed)
        done = Turn.open(store, config(approve=False)).go(STAGES)
    if stage == "promote":
        assert (done.stage, done.outcome) == ("promote", "waiting")
        done = Turn.open(store, config(approve=False)).go(STAGES)
    assert (done.stage, done.outcome) == (stage, "thrown out")
    assert {"live": f"proved against base, and {other} answers till", "step": f"some of its steps by {other}"}[
        change
    ] in done.why
    assert all(route.canary is None for route in newest(store).routes)
    assert store.adapter(ADAPTER.name).state is AdapterState.CANDIDATE


def test_what_changes_between_the_look_and_the_promotion_is_looked_at_again(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(*_: object) -> list[str]:
        set_live(store, "desk", "*", BASE, by="ada", why="a route of its own")
        return []

    traffic(store, 4)
    monkeypatch.setattr(module.time, "sleep", lambda _: judged_traffic(store, {Arm.LIVE: 0.2, Arm.CANARY: 0.9}))
    with monkeypatch.context() as patch:
        patch.setattr(module, "breaches", changed)
        done = Turn.open(store, config(approve=False)).go(STAGES)
    assert (done.stage, done.outcome) == ("promote", "waiting")
    assert "the route table is at revision" in done.why
    assert Turn.open(store, config(approve=False)).go(STAGES).outcome == "promoted"


def test_an_adapter_that_a_person_promotes_meanwhile_is_promoted(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_hand(seconds: float) -> None:
        promote(store, "till", "*", by="ada", why="good enough", force=True)

    traffic(store, 4)
    monkeypatch.setattr(module.time, "sleep", by_hand)
    turn = Turn.open(store, config(approve=False))
    done = turn.go(STAGES)
    assert (done.stage, done.outcome) == ("promote", "promoted")
    assert outcomes(store, turn)[-3:] == [("canary", "begun"), ("canary", "live"), ("promote", "promoted")]
    assert (
        turn.decided["canary"].why == f"{ADAPTER} answers till in revision {newest(store).number} already: good enough"
    )
