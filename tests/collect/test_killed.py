"""What the spill file acknowledged survives `kill -9`, and is stored once, whoever takes it up."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from agentkit.collect.capture import Capture
from agentkit.collect.spill import segments
from agentkit.config import CollectSettings
from agentkit.store import Store
from tests.collect.captured import make_exchange
from tests.collect.offering import offer
from tests.collect.waiting import until

KILLS = 20
WINDOW = 0.1
"""Seconds before the kill in which an exchange may be lost."""


def run_and_kill(folder: str, url: str, prefix: str, chance: random.Random) -> tuple[list[float], int, float]:
    """When each exchange was offered, how many were acknowledged, and when the process was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.collect.offering"])
    listening, speaking = context.Pipe(duplex=False)
    pause = chance.choice([0.0005, 0.002, 0.01])
    process = context.Process(target=offer, args=(folder, url, prefix, pause, speaking))
    process.start()
    speaking.close()
    said: list[tuple[int, float, int]] = [listening.recv()]
    killed = time.monotonic() + chance.random() * 1.5
    while (left := killed - time.monotonic()) > 0:
        if listening.poll(left):
            said.append(listening.recv())
    killed = time.monotonic()
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with suppress(EOFError, OSError):
        while listening.poll():
            said.append(listening.recv())
    listening.close()
    return [at for _, at, _ in said], max(acknowledged for *_, acknowledged in said), killed


@pytest.mark.slow
async def test_a_process_that_is_killed_again_and_again_loses_nothing_that_was_safe(
    settings: CollectSettings, store: Store, tmp_path: Path
) -> None:
    chance = random.Random(11)
    folder, url = settings.folder, f"sqlite:///{tmp_path}/store.db"
    runs = {}
    for number in range(KILLS):
        runs[f"run{number}"] = run_and_kill(folder, url, f"run{number}", chance)
    capture = Capture(settings, store)
    await capture.start()
    await until(lambda: not segments(Path(folder) / "spill"), seconds=60)
    await capture.stop()
    stored = [it.id for it in store.exchanges()]
    assert len(stored) == len(set(stored))
    assert all(it == make_exchange(it.id) for it in store.exchanges(limit=500))
    lost = []
    for name, (offered, acknowledged, killed) in runs.items():
        there = {int(id.removeprefix(f"{name}-")) for id in stored if id.startswith(f"{name}-")}
        assert there >= set(range(acknowledged)), f"{name}: {acknowledged} were acknowledged"
        assert there == set(range(len(there))), f"{name}: in the order in which they came"
        lost += [killed - at for at in offered[len(there) :]]
    assert sum(len(offered) for offered, _, _ in runs.values()) > 1000
    print(
        f"{KILLS} kills: {len(stored)} stored, {len(lost)} lost, the oldest {max(lost, default=0):.3f} s before a kill"
    )
    # On a busy machine the process itself may not have run in that time; what it says of its window is in the bench.
    assert sum(age > WINDOW for age in lost) <= 0.02 * len(stored)
