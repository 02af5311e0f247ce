"""The job of a turn: checked before anything is played, taken up where it stood, begun anew where nothing was done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentkit.config import ChatAgent, Config, EngineOptions, ServeSettings
from agentkit.config.serving import LoopSettings
from agentkit.errors import UsageError
from agentkit.lock import locked
from agentkit.loop import stages as module
from agentkit.loop.turn import Turn
from agentkit.records import JobStatus, Target, TargetKind
from agentkit.serve.routes import set_live
from agentkit.store import Store
from tests.store.records import make_adapter, make_run

LIVE = Target(TargetKind.ADAPTER, "refund-v1-3fa9")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module.Runs, "scenarios", lambda self: ())
    monkeypatch.setattr(module, "choose_target", lambda *_, **__: None)
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        opened.create_run(make_run("r1", status="finished"))
        yield opened


def opened(store: Store, *, engines: EngineOptions | None = None, played: bool = True, **tune: Any) -> Turn:
    """The turn under way, up to the job or to the play before it."""
    agents = {"till": ChatAgent(kind="chat", engine="embedded")}
    serve = ServeSettings(engines=engines or EngineOptions())
    turn = Turn.open(store, Config(agents=agents, serve=serve, loop=LoopSettings(tune=tune)))
    if not turn.decided:
        turn.note("collect", "enough", "refund is wrong", {"step": "refund"})
        if played:
            turn.note("play", "played", "run r1", {"run": "r1"})
    return turn


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that were begun or taken up, each of which fails; with 99 examples after it was compiled."""
    found: list[Any] = []

    def do(self: Any) -> None:
        found.append(self)
        if self.settings.train == 99:
            self.files.write("manifest.json", {})
        self.store.update_job(self.job.id, status=JobStatus.FAILED, stage="too few")
        raise UsageError("refund: 96 of 120 conversations to hold out")

    monkeypatch.setattr(module.Work, "do", do)
    return found


def fails(turn: Turn) -> pytest.ExceptionInfo[UsageError]:
    with pytest.raises(UsageError, match="96 of 120") as error:
        module.tune(turn)
    return error


def test_a_job_that_failed_before_it_had_data_gives_way_to_other_settings(store: Store, asked: list[Any]) -> None:
    error = fails(opened(store))
    assert f"takes up job {asked[0].job.id}" in error.value.__notes__[0]
    assert "agentkit loop abandon --why WHY" in error.value.__notes__[0]
    fails(opened(store))
    assert len(store.jobs()) == 1, "the same again is tried in the same job"
    fails(opened(store, held_out=90))
    assert [it.settings.held_out for it in asked] == [120, 120, 90]
    assert asked[2].job.id != asked[0].job.id == asked[1].job.id
    turn = opened(store, held_out=90)
    assert turn.decided["tune"].evidence == {"job": asked[2].job.id}


def test_no_two_turns_draw_the_same_instances_unless_a_seed_is_told(store: Store, asked: list[Any]) -> None:
    first = opened(store)
    fails(first)
    module.abandon(store, "till", by="ada", why="not this week")
    second = opened(store)
    fails(second)
    assert (first.id[-4:] == second.id[-4:]) is (asked[0].settings.seed == asked[1].settings.seed)
    assert asked[0].settings.seed > 0
    fails(opened(store, seed=7))
    assert asked[2].settings.seed == 7


def test_a_job_that_has_data_is_taken_up_as_it_was_begun(store: Store, asked: list[Any]) -> None:
    fails(opened(store, train=99))
    fails(opened(store, train=8))
    assert [it.settings.train for it in asked] == [99, 99]
    assert len(store.jobs()) == 1


def test_a_job_that_is_at_work_elsewhere_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.Work, "_sitting", lambda self: pytest.fail("it begins a second sitting"))
    new_job = module.new_job
    monkeypatch.setattr(module, "new_job", lambda *told: store.update_job(new_job(*told).id, pid=4711))
    monkeypatch.setattr(module.Work, "folder", Path("job"))
    with locked(Path("job") / "job.lock", ""), pytest.raises(UsageError, match="is at work in process") as error:
        module.tune(opened(store))
    assert not hasattr(error.value, "__notes__"), "nothing failed that one would abandon"
    [job] = store.jobs()
    assert (job.status, job.pid) == (JobStatus.COMPILING, 4711)


def test_what_could_not_be_served_is_told_before_anything_is_played(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[str] = []

    def play(self: object, settings: Any, opened: Any) -> Any:
        played.append(settings.agent)
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Runs, "play", play)
    monkeypatch.setattr(module.Runs, "settings", lambda self, agent, *_, **__: SimpleNamespace(agent=agent))
    store.add_adapter(make_adapter(LIVE.name, certificate={"verdict": "promote"}))
    set_live(store, "till", "*", LIVE, by="ada", why="it is good", force=True)
    narrow = EngineOptions(max_lora_rank=8)
    with pytest.raises(UsageError, match=r"--rank: found 16, and .* max_lora_rank is 8"):
        module.play(opened(store, engines=narrow, played=False))
    with pytest.raises(UsageError, match=r"--held-out: found 0"):
        module.play(opened(store, held_out=0))
    assert played == []
    with pytest.raises(KeyboardInterrupt):
        module.play(opened(store))
    assert played == [f"till+{LIVE.name}"]
