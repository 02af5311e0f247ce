"""A turn's stages decide once, wait where they must, and promote nothing without certificate and clean canary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentkit.collect.feedback.accept import accept
from agentkit.config import ChatAgent, Config
from agentkit.config.serving import LoopSettings
from agentkit.errors import AgentkitError, NotJudged, StoreUnavailable, UsageError
from agentkit.loop import stages as module
from agentkit.loop.choose import chosen_agent
from agentkit.loop.stages import STAGES
from agentkit.loop.turn import OverBudget, Turn, approve
from agentkit.records import AdapterState, Arm, Decision, Run, Target, TargetKind, TurnId
from agentkit.serve.routes import end_canary, newest, promote, rollback, set_canary, set_live
from agentkit.store import Store, stamp
from agentkit.tune.certificate import Promotion
from tests.loop.test_production import talk
from tests.serve.canary.traffic import add_labels, exchange, thumb
from tests.store.records import make_adapter, make_job, make_run

BASE, ADAPTER = Target(TargetKind.BASE), Target(TargetKind.ADAPTER, "refund-v1-3fa9")
AGENT = ChatAgent(kind="chat", engine="embedded")


@dataclass
class Ended:
    verdict: Promotion
    document: dict[str, Any]
    adapter: str | None


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(tmp_path)
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


def config(**changes: Any) -> Config:
    scenarios = str(Path(__file__).parents[2] / "scenarios" / "point_of_sale" / "refund.yaml")
    return Config(agents={"till": AGENT}, loop=LoopSettings(scenarios=(scenarios,), max_drafts=1, **changes))


def traffic(store: Store, right: int, of: int = 40) -> None:
    for number in range(of):
        talk(store, f"c{number}", BASE, find_sale=True, refund=number < right)


@pytest.fixture
def trained(store: Store, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Plays and trainings that cost nothing: the real ones have tests of their own. Gives how often each was asked."""
    asked = {"play": 0, "tune": 0}
    monkeypatch.setattr(module, "choose_target", lambda *_, **__: None)

    def play(self: object, settings: object, opened: Any) -> Run:
        asked["play"] += 1
        run = make_run(f"r{asked['play']}", planned=4, status="finished")
        store.create_run(run)
        opened(run)
        return run

    def do(self: Any) -> Ended:
        asked["tune"] += 1
        store.add_adapter(make_adapter(ADAPTER.name, certificate={"verdict": "promote"}))
        return Ended(Promotion.PROMOTE, {"verdict": "promote", "sentence": "promote: refund is better"}, ADAPTER.name)

    def job(store: Store, target: str, settings: object) -> Any:
        made = make_job("j1")
        store.create_job(made)
        return made

    monkeypatch.setattr(module.Runs, "play", play)
    monkeypatch.setattr(module.Work, "do", do)
    monkeypatch.setattr(module, "new_job", job)
    return asked


def judged_traffic(store: Store, good: dict[Arm, float]) -> None:
    """Conversations of both arms under the newest revision."""
    revision = newest(store)
    made = [
        exchange(
            f"talk-{arm}-{number}",
            step="",
            revision=revision.number,
            arm=arm,
            target=ADAPTER if arm is Arm.CANARY else BASE,
            at=stamp(datetime.now(UTC)),
        )
        for number in range(150)
        for arm in Arm
    ]
    store.add_exchanges(made)
    add_labels(store, [thumb(it, number // 2 < 150 * good[it.arm]) for number, it in enumerate(made)])


def outcomes(store: Store, turn: Turn) -> list[tuple[str, str]]:
    return [(it.stage, it.outcome) for it in store.decisions(turn.id)]


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
    monkeypatch.setattr(module, "find_adapters", lambda *_: ())
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
