"""A turn's stages decide once, wait where they must, and promote nothing without certificate and clean canary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agentkit.config import ChatAgent, Config
from agentkit.config.serving import LoopSettings
from agentkit.errors import UsageError
from agentkit.loop import stages as module
from agentkit.loop.choose import chosen_agent
from agentkit.loop.stages import STAGES
from agentkit.loop.turn import OverBudget, Turn, approve
from agentkit.records import AdapterState, Arm, Decision, Run, Target, TargetKind, TurnId
from agentkit.serve.routes import newest, rollback
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

    def play(self: object, settings: object, opened: Any) -> Run:
        asked["play"] += 1
        run = make_run("r1", planned=4, status="finished")
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
    traffic(store, 40)
    done = Turn.open(store, config()).go(STAGES)
    assert (done.stage, done.outcome) == ("collect", "nothing to do")
    assert Turn.open(store, config()).id != done.turn, "the next turn is another"


def test_a_turn_waits_for_a_person_then_for_the_canary_and_promotes(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic(store, 4)
    done = Turn.open(store, config()).go(STAGES)
    assert (done.stage, done.outcome) == ("approve", "waiting")
    assert store.adapter(ADAPTER.name).state is AdapterState.CANDIDATE, "it meets nobody before"
    approve(store, by="ada", agreed=True)

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


def test_a_canary_that_is_worse_ends_the_turn(
    store: Store, trained: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentkit.serve.routes import end_canary

    traffic(store, 4)

    def watched(seconds: float) -> None:
        end_canary(store, "till", "*", by="canary", why="worse than what is live", repin=True)

    monkeypatch.setattr(module.time, "sleep", watched)
    turn = Turn.open(store, config(approve=False))
    done = turn.go(STAGES)
    assert (done.stage, done.outcome) == ("canary", "thrown out")
    assert "worse than what is live" in done.why
    assert store.adapter(ADAPTER.name).state is not AdapterState.LIVE


def test_a_declined_adapter_meets_nobody(store: Store, trained: dict[str, int]) -> None:
    traffic(store, 4)
    Turn.open(store, config()).go(STAGES)
    approve(store, by="ada", agreed=False, why="not before the holidays")
    turn = Turn.open(store, config())
    assert turn.go(STAGES).why == "0 of the 30 judged conversations that it takes are there", (
        "a new turn, from new traffic"
    )
    assert store.adapter(ADAPTER.name).state is AdapterState.CANDIDATE
    with pytest.raises(UsageError, match="no turn of the loop waits for approval"):
        approve(store, by="ada", agreed=True)


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
    made = Decision(TurnId("t"), "play", stamp(datetime.now(UTC)), "begun", "run r1", {"run": "r1", "n": [1, None]})
    store.add_decision(made)
    store.add_decision(Decision(TurnId("u"), "play", made.at, "begun", "x", {}))
    assert store.decisions(TurnId("t")) == [made]
    assert [it.turn for it in store.decisions()] == ["t", "u"]
