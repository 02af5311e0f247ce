"""Several processes and threads at one store, and processes that are killed while they write."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentkit.records import RunId
from agentkit.store import Store
from tests.store.records import make_run, make_trial

RUN = RunId("run-a")
ROOT = Path(__file__).parents[2]


def start(url: str, first: int, last: int, batch: int, go: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store.writer", url, RUN, str(first), str(last), str(batch), go]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def together(go: Path, processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let all begin at once; the last line that each says."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    go.touch()
    lines = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        lines.append(out.splitlines()[-1])
    return lines


@pytest.mark.slow
def test_processes_that_open_a_fresh_store_at_once_all_succeed(url: str, tmp_path: Path) -> None:
    go = tmp_path / "go"
    processes = [start(url, 0, 0, 1, str(go)) for _ in range(4)]
    assert together(go, processes) == ["added 0"] * 4
    with Store.open(url) as store:
        assert store.runs() == []


def test_threads_that_open_a_fresh_store_at_once_all_succeed(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store.open(url), range(4)))
    assert [store.runs() for store in stores] == [[]] * 4
    for store in stores:
        store.close()


def test_threads_that_open_different_fresh_stores_at_once_all_succeed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(Store.open, [f"sqlite:///{tmp_path}/{name}.db" for name in "abcd"]))
    for store in stores:
        store.create_run(make_run(RUN))
        assert [run.id for run in store.runs()] == [RUN]
        store.close()


def test_threads_share_a_store(store: Store) -> None:
    store.create_run(make_run(RUN))

    def add(first: int) -> int:
        return sum(store.add_trials([make_trial(RUN, i) for i in range(k, k + 4)]) for k in range(first, 100, 4))

    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(add, [0, 20, 40, 60]))
    assert sum(added) == 100
    assert list(store.trials(RUN)) == [make_trial(RUN, i) for i in range(100)]


@pytest.mark.slow
def test_processes_that_play_the_same_trials_record_each_once(store: Store, url: str, tmp_path: Path) -> None:
    store.create_run(make_run(RUN))
    go = tmp_path / "go"
    processes = [start(url, 0, 200, 3, str(go)), start(url, 50, 250, 7, str(go))]
    added = [int(line.removeprefix("added ")) for line in together(go, processes)]
    assert sum(added) == 250
    assert list(store.trials(RUN)) == [make_trial(RUN, i) for i in range(250)]
    assert store.cache_get("key-0") == "from 0"


@pytest.mark.slow
def test_a_writer_that_is_killed_again_and_again_loses_nothing(store: Store, url: str) -> None:
    store.create_run(make_run(RUN))
    chance = random.Random(7)
    acknowledged: set[int] = set()
    planned, kills = 300, 0
    while len(acknowledged) < planned:
        process = start(url, 0, planned, 5)
        assert process.stdout is not None
        for _ in range(chance.randint(1, 9)):
            acknowledged |= numbers(process.stdout.readline())
        time.sleep(chance.random() * 0.004)
        process.kill()
        rest, err = process.communicate()
        assert not err
        acknowledged |= {index for line in rest.splitlines(keepends=True) for index in numbers(line)}
        kills += process.returncode == -9
        stored = list(store.trials(RUN))
        assert acknowledged <= {trial.index for trial in stored}
        assert stored == [make_trial(RUN, trial.index) for trial in stored], "each is whole"
        acknowledged = {trial.index for trial in stored}
    assert kills >= 5
    assert [trial.index for trial in store.trials(RUN)] == list(range(planned))


def numbers(line: str) -> set[int]:
    """The trials that a whole line acknowledges."""
    return {int(word) for word in line.split()} if line.endswith("\n") and line[0].isdigit() else set()
