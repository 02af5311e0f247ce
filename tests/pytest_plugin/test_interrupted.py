"""A session of pytest that is cut off: what was played is kept, and nothing takes its run for a whole one."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import agentkit.pytest_plugin as plugin
from agentkit.errors import NotJudged, UsageError
from agentkit.gate.project.sides import read_run
from agentkit.play.plan import Planned
from agentkit.play.session import resume_session
from agentkit.play.trial import play_trial
from agentkit.pytest_plugin.player import Player
from agentkit.pytest_plugin.result import strict
from agentkit.records import Run
from agentkit.store import Store

SHOP = Path(__file__).parents[1] / "play" / "shop"
FIVE = Path("scenarios/shop/five.yaml")
INTERRUPTED = pytest.ExitCode.INTERRUPTED


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SHOP, tmp_path / "scenarios" / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture
def make(store: str) -> Callable[[], Player]:
    return lambda: Player(agent="scripted:1", trials=6, store=store)


def finish(player: Player, status: int) -> None:
    """What pytest does at the end of a session."""
    session: Any = SimpleNamespace(config=SimpleNamespace(stash={plugin.PLAYER: player}))
    plugin.pytest_sessionfinish(session, status)


def newest(url: str) -> tuple[Run, list[int]]:
    """The newest run, and the places of its trials."""
    with Store.open(url) as store:
        run = store.runs()[0]
        return run, [it.index for it in store.trials(run.id)]


def interrupt(player: Player, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C once three of six trials are recorded, while the others are under way."""

    async def play(planned: Planned, *rest: Any) -> Any:
        if planned.index < 3:
            return await play_trial(planned, *rest)
        if planned.index == 3:
            for _ in range(100):
                if len(newest(store)[1]) == 3:
                    break
                await asyncio.sleep(0.01)
            signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()

    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr("agentkit.play.runner.play_trial", play)
            with pytest.raises(KeyboardInterrupt):
                player.play(FIVE)
    finally:
        signal.signal(signal.SIGINT, earlier)


def test_what_was_played_before_control_c_is_recorded_and_no_whole_run(
    make: Callable[[], Player], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = make()
    interrupt(player, store, monkeypatch)
    finish(player, INTERRUPTED)
    (told,) = player.farewell()
    assert "(scripted:1, interrupted)" in told
    run, places = newest(store)
    assert (run.status, run.planned, places) == ("interrupted", 6, [0, 1, 2])
    with Store.open(store) as opened:
        with pytest.raises(NotJudged, match=r"\(interrupted\): 3 of 6 trials are played; play its items again"):
            read_run(opened, run)
        agent: Any = None
        with pytest.raises(UsageError, match="was played by items of pytest, and cannot be resumed"):
            resume_session(run, (), agent, opened)


def test_an_item_that_is_played_again_goes_on_where_it_stopped(
    make: Callable[[], Player], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = make()
    interrupt(player, store, monkeypatch)
    result = player.play(FIVE)
    assert strict(result).passed
    assert [it.index for it in result.trials] == list(range(6))
    finish(player, pytest.ExitCode.OK)
    run, places = newest(store)
    assert (run.status, run.planned, places) == ("finished", 6, list(range(6)))


def test_a_run_in_which_an_item_left_trials_out_is_stopped(
    make: Callable[[], Player], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = make()
    interrupt(player, store, monkeypatch)
    finish(player, pytest.ExitCode.TESTS_FAILED)
    assert newest(store)[0].status == "stopped"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (pytest.ExitCode.OK, "finished"),
        (pytest.ExitCode.TESTS_FAILED, "finished"),
        (INTERRUPTED, "interrupted"),
        (pytest.ExitCode.INTERNAL_ERROR, "interrupted"),
        (77, "interrupted"),
    ],
)
def test_a_run_is_finished_where_its_session_came_to_its_end(
    make: Callable[[], Player], store: str, status: int, told: str
) -> None:
    player = make()
    assert strict(player.play(FIVE)).passed
    assert newest(store)[0].status == "running"
    finish(player, status)
    run, places = newest(store)
    assert (run.status, run.planned, len(places)) == (told, 6, 6)


BETWEEN = """
def test_one(play_scenario):
    play_scenario("scenarios/shop/five.yaml").assert_passed()


def test_two():
    raise KeyboardInterrupt
"""


@pytest.mark.slow
def test_pytest_itself_says_that_it_was_interrupted(store: str, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(BETWEEN)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--agentkit-agent",
        "scripted:1",
        "--agentkit-store",
        store,
        "test_mine.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == INTERRUPTED
    assert "(scripted:1, interrupted); see: agentkit show" in done.stdout
    run, places = newest(store)
    assert (run.status, len(places)) == ("interrupted", 5)
