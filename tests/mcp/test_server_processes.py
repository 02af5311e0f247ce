"""No process is left behind, however a run ends; the fixture of this folder looks after every test as well."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.records import Party, Verdict
from agentkit.scenario import load
from tests.mcp.conftest import PlaySuite, children, recorded_suite

COMMAND = [sys.executable, "-c", "from agentkit.cli import main; main()"]


@pytest.mark.slow
async def test_a_warm_pool_hands_each_server_to_one_trial(tmp_path: Path) -> None:
    suite = await recorded_suite(tmp_path / "shop", warm=3)
    factory = load([suite])[0].suite.world
    assert factory is not None
    worlds: list[Any] = [await factory.create({"order": "A-1001"}) for _ in range(4)]
    assert len({world._connection for world in worlds}) == 4
    await asyncio.sleep(0.5)
    assert 4 < len(children()) <= 7
    for world in worlds:
        await world.close()
    await factory.close()
    assert children() == []


@pytest.mark.slow
async def test_a_server_that_died_while_it_waited_is_not_handed_out(tmp_path: Path, play_suite: PlaySuite) -> None:
    suite = await recorded_suite(tmp_path / "shop", warm=2)
    scenarios = load([suite])
    factory: Any = scenarios[0].suite.world
    first: Any = await factory.create({"order": "A-1001"})
    await asyncio.wait(factory._pool._ready)
    used = first._connection._link._process.pid
    for child in children():
        if child.pid != used:
            child.kill()
    await asyncio.sleep(0.2)
    second = await factory.create({"order": "A-1001"})
    assert (await second.call("count", {})).content == "1"
    for world in (first, second):
        await world.close()
    await factory.close()


@pytest.mark.slow
async def test_killed_midway(tmp_path: Path, play_suite: PlaySuite) -> None:
    """`kill -9` of servers while trials are played: those trials are invalid, the others are played."""
    suite = await recorded_suite(tmp_path / "shop", warm=2)
    stop = asyncio.Event()

    async def killer() -> None:
        while not stop.is_set():
            await asyncio.sleep(0.15)
            for child in children()[:1]:
                child.kill()

    killing = asyncio.create_task(killer())
    run, trials = await play_suite(suite, ScriptedAgent("s"), trials=40)
    stop.set()
    await killing
    assert (run.status, len(trials)) == ("finished", 40)
    assert {(trial.verdict, trial.fault) for trial in trials} <= {
        (Verdict.SUCCESS, None),
        (Verdict.INVALID, Party.TOOL),
    }
    assert any(trial.verdict is Verdict.SUCCESS for trial in trials)


def run_with_servers(folder: Path) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """A run of many trials in a process group of its own, once it has servers, and those."""
    arguments = ["run", str(folder), "--agent", "scripted", "--trials", "500", "--concurrency", "4"]
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0
    )
    servers: list[psutil.Process] = []
    for _ in range(600):
        servers = psutil.Process(process.pid).children(recursive=True)
        if len(servers) >= 2:
            break
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.1)
    assert servers
    return process, servers


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["well", "stubborn", "silent"])
async def test_after_control_c(tmp_path: Path, mode: str) -> None:
    suite = await recorded_suite(tmp_path / "shop", mode=mode)
    process, servers = await asyncio.to_thread(run_with_servers, suite)
    os.killpg(process.pid, signal.SIGINT)
    _, said = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 130, said.decode()
    assert b"go on with: agentkit run --resume" in said
    _, left = psutil.wait_procs(servers, timeout=5)
    assert left == []


@pytest.mark.slow
async def test_after_kill_9_of_the_run_itself(tmp_path: Path) -> None:
    """Nothing of ours can end them then: their input ends, and a server that listens to it goes."""
    suite = await recorded_suite(tmp_path / "shop")
    process, servers = await asyncio.to_thread(run_with_servers, suite)
    process.kill()
    await asyncio.to_thread(process.communicate)
    _, left = await asyncio.to_thread(psutil.wait_procs, servers, timeout=10)
    assert left == []
