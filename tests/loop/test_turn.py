"""A turn's stages decide once, wait where they must, and promote nothing without certificate and clean canary."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from agentkit.collect.feedback.accept import accept
from agentkit.config import Config
from agentkit.config.serving import LoopSettings
from agentkit.errors import NotJudged, StoreUnavailable, UsageError
from agentkit.loop import stages as module
from agentkit.loop.choose import chosen_agent
from agentkit.loop.stages import STAGES
from agentkit.loop.turn import OverBudget, Turn, approve
from agentkit.records import AdapterState, Decision, Run, Target, TargetKind, TurnId
from agentkit.serve.routes import newest, rollback, set_live
from agentkit.store import Store, stamp
from agentkit.tune.certificate import Promotion
from tests.loop.test_production import talk
from tests.loop.turns import ADAPTER, AGENT, BASE, Ended, config, outcomes, traffic
from tests.store.records import make_adapter, make_run


def test_without_judgements_a_turn_waits_and_says_so_once(store: Store) -> None:
    traffic(store, 2, of=5)
    turn = Turn.open(store, config())
    assert turn.go(STAGES).why == "5 of the 30 judged conversations that it takes are there"
    again = Turn.open(store, config())
    assert again.id == turn.id, "the same turn"
    assert again.go(STAGES).outcome == "waiting"
    assert outcomes(store, turn) == [("collect", "waiting")], "to wait as before is no news"


def test_where_nothing_fails_there_is_nothing_to_do(store: Store) -> None:
    traffic(store, 80, of=80)
    done = Turn.open(store, config()).go(STAGES)
    assert (done.stage, done.outcome) == ("collect", "nothing to do")
    assert Turn.open(store, config()).id != done.turn, "the next turn is another"


def test_what_is_known_of_a_rare_step_adds_up_until_it_is_told_from_a_good_one(store: Store) -> None:
    """Two conversations in five come to the step, and it is always wrong there."""
    turn = Turn.open(store, config())
    for number in range(40):
        rare = {"refund": False} if number % 5 < 2 else {}
        talk(store, f"c{number}", BASE, find_sale=True, **rare)
    done = turn.go(STAGES)
    assert (done.stage, done.outcome) == ("collect", "waiting")
    assert "no step is shown to be right less than 95%" in done.why
    for number in range(40, 100):
        rare = {"refund": False} if number % 5 < 2 else {}
        talk(store, f"c{number}", BASE, find_sale=True, **rare)
    again = Turn.open(store, config())
    assert again.id == turn.id
    assert module.collect(again).evidence["step"] == "refund"


def test_it_is_said_where_only_whole_conversations_are_judged(store: Store) -> None:
    traffic(store, 2, of=5)
    for number in range(7):
        talk(store, f"w{number}", BASE)
        accept(store, "till", {"conversation": f"w{number}", "thumb": "up"})
    assert Turn.open(store, config()).go(STAGES).why == (
        "5 of the 30 judged conversations that it takes are there; 7 more were judged as a whole: feedback must name a "
        "`step` or a `response`"
    )


def test_the_next_turn_looks_at_and_plays_what_is_live(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_adapter(make_adapter(ADAPTER.name, certificate={"verdict": "promote"}))
    set_live(store, "till", "*", ADAPTER, by="ada", why="it is good", force=True)
    traffic(store, 0)  # of the base model, which is not live
    turn = Turn.open(store, config())
    assert turn.go(STAGES).why == "0 of the 30 judged conversations that it takes are there"
    for number in range(40):
        talk(store, f"n{number}", ADAPTER, find_sale=False)
    played: list[Any] = []

    def play(self: object, settings: Any, opened: Any) -> Run:
        played.append(settings)
        run = make_run("r1", planned=4, status="finished", agent=settings.agent)
        store.create_run(run)
        opened(run)
        return run

    monkeypatch.setattr(module.Runs, "play", play)
    done = Turn.open(store, config()).go(STAGES)
    assert (done.stage, done.outcome) == ("approve", "waiting")
    [settings] = played
    assert settings.agent == f"till+{ADAPTER.name}"
    assert settings.agent_settings.adapters == (ADAPTER.name,)
    assert turn.store.decisions(turn.id)[-4].evidence == {"run": "r1", "live": str(ADAPTER)}

    approve(store, "till", by="ada", agreed=True)
    rollback(store, by="ada", why="taken back by hand")
    done = Turn.open(store, config()).go(STAGES)
    assert (done.stage, done.outcome) == ("canary", "thrown out")
    assert f"was proved against {ADAPTER}, and base answers till by now" in done.why


def test_where_others_answer_some_steps_the_loop_waits_and_says_why(store: Store) -> None:
    store.add_adapter(make_adapter(ADAPTER.name, certificate={"verdict": "promote"}))
    set_live(store, "till", "refund", ADAPTER, by="ada", why="it is good", force=True)
    done = Turn.open(store, config()).go(STAGES)
    assert (done.outcome, done.why.partition(" (")[0]) == (
        "waiting",
        f"till is answered by base, and some of its steps by {ADAPTER}",
    )
    set_live(store, "till", "refund", BASE, by="ada", why="one for all")
    assert "0 of the 30" in Turn.open(store, config()).go(STAGES).why
    set_live(store, "*", "*", Target(TargetKind.UPSTREAM, "cloud"), by="ada", why="an incident")
    set_live(store, "till", "refund", Target(TargetKind.UPSTREAM, "cloud"), by="ada", why="an incident")
    assert "till is answered by the upstream cloud" in Turn.open(store, config()).go(STAGES).why


def test_a_step_that_cannot_be_trained_for_ends_the_turn_and_says_why(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(*_: object, **__: object) -> None:
        raise UsageError("refund never failed in run r1: 8 of 8 were right, so there is nothing to train")

    monkeypatch.setattr(module, "choose_target", choose)
    traffic(store, 4)
    done = Turn.open(store, config()).go(STAGES)
    assert (done.stage, done.outcome) == ("tune", "refused")
    assert "it cannot be trained for: refund never failed in run r1" in done.why
    assert trained["tune"] == 0


def test_a_store_that_is_away_ends_no_turn(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the server is starting up")

    traffic(store, 4)
    with monkeypatch.context() as patch:
        patch.setattr(module, "choose_target", away)
        with pytest.raises(StoreUnavailable):
            Turn.open(store, config()).go(STAGES)
    done = Turn.open(store, config()).go(STAGES)
    assert (done.stage, done.outcome) == ("approve", "waiting")
    assert trained == {"play": 1, "tune": 1}


def test_a_run_of_which_nothing_was_graded_ends_no_turn_and_is_played_anew(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise NotJudged("run r1 has no graded trial: there is nothing to learn from")

    traffic(store, 4)
    turn = Turn.open(store, config())
    with monkeypatch.context() as patch:
        patch.setattr(module, "choose_target", nothing)
        with pytest.raises(NotJudged):
            turn.go(STAGES)
    assert outcomes(store, turn)[-2:] == [("play", "played"), ("play", "waiting")]
    again = Turn.open(store, config())
    assert again.go(STAGES).stage == "approve"
    assert (again.id, trained) == (turn.id, {"play": 2, "tune": 1})
    assert again.decided["play"].evidence["run"] == "r2"


def test_a_turn_that_waits_for_long_forgets_nothing(store: Store) -> None:
    turn = Turn.open(store, config())
    before = Decision(TurnId("earlier"), "till", "promote", "2026-06-20T10:00:00.000Z", "promoted", "x", {})
    store.add_decision(before)
    turn.note("collect", "enough", "refund is wrong", {"step": "refund"})
    for number in range(300):
        turn.note("promote", "waiting", f"not while objectives are missed: of {number} requests", {})
    again = Turn.open(store, config())
    assert (again.id, again.decided["collect"].evidence) == (turn.id, {"step": "refund"})
    assert again.since() == before.at


def test_each_agent_has_turns_of_its_own(store: Store, trained: dict[str, int]) -> None:
    """Also where the project now looks at another one, and where two projects share a store."""
    before = Decision(TurnId("earlier"), "till", "promote", "2026-02-01T10:00:00.000Z", "promoted", "x", {})
    store.add_decision(before)
    traffic(store, 4)
    till = Turn.open(store, config())
    assert till.go(STAGES).stage == "approve"
    both = {"till": AGENT, "desk": AGENT}
    desk = Turn.open(store, config(agent="desk").model_copy(update={"agents": both}))
    assert desk.id != till.id
    assert desk.since() is None
    assert desk.go(STAGES).why == "0 of the 30 judged conversations that it takes are there"
    with pytest.raises(UsageError, match="no turn of the loop waits for approval of desk"):
        approve(store, "desk", by="ada", agreed=True)
    assert module.abandon(store, "desk", by="ada", why="not yet").turn == desk.id
    again = Turn.open(store, config())
    assert (again.id, again.since()) == (till.id, before.at)
    assert approve(store, "till", by="ada", agreed=True).turn == till.id


def test_a_declined_adapter_meets_nobody(store: Store, trained: dict[str, int]) -> None:
    traffic(store, 4)
    Turn.open(store, config()).go(STAGES)
    approve(store, "till", by="ada", agreed=False, why="not before the holidays")
    turn = Turn.open(store, config())
    assert turn.go(STAGES).why == "0 of the 30 judged conversations that it takes are there", (
        "a new turn, from new traffic"
    )
    assert store.adapter(ADAPTER.name).state is AdapterState.CANDIDATE
    with pytest.raises(UsageError, match="no turn of the loop waits for approval of till"):
        approve(store, "till", by="ada", agreed=True)


def test_a_refused_certificate_ends_the_turn(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def do(self: Any) -> Ended:
        return Ended(Promotion.REFUSE, {"verdict": "refuse", "sentence": "refuse: find_sale is worse"}, ADAPTER.name)

    monkeypatch.setattr(module.Work, "do", do)
    traffic(store, 4)
    done = Turn.open(store, config(approve=False)).go(STAGES)
    assert (done.stage, done.outcome, done.why) == ("tune", "refused", "refuse: find_sale is worse")
    assert len(newest(store).routes) == 1, "no canary"


def test_no_stage_begins_after_the_time_is_used_up(store: Store) -> None:
    with pytest.raises(OverBudget, match="before the stage collect"):
        Turn.open(store, config(), deadline=time.monotonic() - 1).go(STAGES)


def test_the_agent_must_be_clear() -> None:
    assert chosen_agent(Config(agents={"till": AGENT})) == "till"
    for engine in (None, "./clerk"):
        other = Config(agents={"till": AGENT.model_copy(update={"engine": engine})})
        with pytest.raises(UsageError, match=f"agents.till. engine: found {engine!r}, expected 'embedded', the model"):
            chosen_agent(other)
    two = Config(agents={"till": AGENT, "desk": AGENT})
    with pytest.raises(UsageError, match=r"agent: is missing; expected one of till, desk"):
        chosen_agent(two)
    with pytest.raises(UsageError, match=r"no chat agent is called 'til'.*till"):
        chosen_agent(two.model_copy(update={"loop": LoopSettings(agent="til")}))


def test_decisions_come_back_as_they_were_made(store: Store) -> None:
    made = Decision(
        TurnId("t"), "till", "play", stamp(datetime.now(UTC)), "begun", "run r1", {"run": "r1", "n": [1, None]}
    )
    store.add_decision(made)
    store.add_decision(Decision(TurnId("u"), "desk", "play", made.at, "begun", "x", {}))
    assert store.decisions(TurnId("t")) == [made]
    assert [it.turn for it in store.decisions()] == ["t", "u"]
    assert [it.turn for it in store.decisions(agent="desk")] == ["u"]
