"""Revisions and pins: each whole, one after the other, whoever else writes at the same time."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentkit.errors import StoreError
from agentkit.records import AdapterState, Arm, ConversationId, Pin, Revision, Route, Target, TargetKind
from agentkit.store import Store, stamp
from tests.store.records import make_adapter

ROOT = Path(__file__).parents[2]
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
ENDED = NOW - timedelta(minutes=30)
BASE = Target(TargetKind.BASE)
ADAPTER = Target(TargetKind.ADAPTER, "refund-v1-3fa9")


def revision(number: int, **changes: object) -> Revision:
    first = Revision(number, (Route("*", "*", BASE),), stamp(NOW), "cli", "because", number - 1 or None)
    return replace(first, **changes)  # type: ignore[arg-type]


def pin(name: str, revision: int, *, minutes: float = 0, arm: Arm = Arm.LIVE, repinned_from: int | None = None) -> Pin:
    return Pin(ConversationId(name), revision, arm, stamp(NOW - timedelta(minutes=minutes)), repinned_from)


def test_a_revision_comes_back_as_it_was(store: Store) -> None:
    routes = (Route("*", "*", BASE), Route("till", "naïve ☃", BASE, ADAPTER, 0.1))
    second = revision(2, routes=routes, evidence={"e_value": 123.5, "why": "'; DROP TABLE revisions; --"})
    store.add_revision(revision(1))
    store.add_revision(second)
    assert store.revisions() == [second, revision(1)]
    assert store.revisions(above=1) == [second]
    assert store.revision(2) == second
    with pytest.raises(StoreError, match="there is no revision 3"):
        store.revision(3)


@pytest.mark.parametrize("number", [1, 3, 0])
def test_only_the_next_revision_is_taken(store: Store, number: int) -> None:
    store.add_revision(revision(1))
    with pytest.raises(StoreError, match=f"revision {number} is not the next of the route table: somebody else"):
        store.add_revision(revision(number))
    assert [it.number for it in store.revisions()] == [1]


def test_adapters_move_with_the_revision_or_not_at_all(store: Store) -> None:
    name = make_adapter().name
    store.add_adapter(make_adapter())
    store.add_revision(revision(1), {name: (AdapterState.CANDIDATE, AdapterState.CANARY)})
    assert store.adapter(name).state is AdapterState.CANARY
    with pytest.raises(StoreError, match=f"adapter {name} is not candidate any more"):
        store.add_revision(revision(2), {name: (AdapterState.CANDIDATE, AdapterState.RETIRED)})
    assert ([it.number for it in store.revisions()], store.adapter(name).state) == ([1], AdapterState.CANARY)


def test_threads_that_change_the_table_at_once_leave_no_gap(store: Store, url: str) -> None:
    def change(_: int) -> int:
        with Store.open(url) as mine:
            for _ in range(200):
                number = len(mine.revisions(limit=100)) + 1
                try:
                    mine.add_revision(revision(number))
                    return number
                except StoreError:
                    continue
        return 0

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, range(12))) == list(range(1, 13))
    assert [it.number for it in store.revisions()] == list(range(12, 0, -1))


def test_the_first_pin_of_a_running_conversation_stays(store: Store) -> None:
    assert store.set_pins([pin("a", 1), pin("b", 1, minutes=31)], ended=ENDED) == {
        "a": pin("a", 1),
        "b": pin("b", 1, minutes=31),
    }
    later = store.set_pins([pin("a", 2, arm=Arm.CANARY), pin("b", 2, arm=Arm.CANARY)], ended=ENDED)
    assert later == {"a": pin("a", 1), "b": pin("b", 2, arm=Arm.CANARY)}, "b had ended"
    assert store.pin(ConversationId("a")) == pin("a", 1)
    assert store.pin(ConversationId("c")) is None
    assert store.set_pins([], ended=ENDED) == {}


def test_seeing_it_again_never_takes_time_back(store: Store) -> None:
    store.set_pins([pin("a", 1, minutes=5)], ended=ENDED)
    assert store.set_pins([pin("a", 1, minutes=1)], ended=ENDED) == {"a": pin("a", 1, minutes=1)}
    assert store.set_pins([pin("a", 1, minutes=3)], ended=ENDED) == {"a": pin("a", 1, minutes=1)}


def test_a_safety_rollback_takes_a_running_conversation_forward_and_never_back(store: Store) -> None:
    store.set_pins([pin("a", 3, arm=Arm.CANARY)], ended=ENDED)
    taken = pin("a", 4, repinned_from=3)
    assert store.set_pins([taken], ended=ENDED) == {"a": taken}
    assert store.set_pins([pin("a", 3, arm=Arm.CANARY)], ended=ENDED) == {"a": taken}
    assert store.set_pins([pin("a", 2, repinned_from=1)], ended=ENDED) == {"a": taken}


def test_pins_are_found_by_revision_and_time_and_dropped_by_age(store: Store) -> None:
    store.set_pins([pin(f"c{k}", 1 + k % 2, minutes=k) for k in range(1_200)], ended=ENDED)
    assert store.pinned_revisions(NOW - timedelta(minutes=0.5)) == {1}
    assert store.pinned_revisions(ENDED) == {1, 2}
    assert [it.conversation for it in store.pins(since=NOW - timedelta(minutes=2))] == ["c0", "c1", "c2"]
    assert store.drop_pins(NOW - timedelta(minutes=100)) == 1_099
    assert len(store.pins()) == 101


def test_a_time_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a time in UTC"):
        stamp(datetime(2025, 1, 1))


@pytest.mark.slow
def test_of_processes_that_pin_at_once_all_agree(store: Store, url: str) -> None:
    code = (
        "import sys\nfrom agentkit.store import Store\nfrom tests.store.test_routes import ENDED, pin\n"
        "mine = int(sys.argv[2])\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    for start in range(0, 200, 20):\n"
        "        found = store.set_pins([pin(f'c{k}', mine) for k in range(start, start + 20)], ended=ENDED)\n"
        "        print(*(it.revision for it in found.values()))\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, url, str(mine)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for mine in (1, 2)
    ]
    said = [[int(word) for word in worker.communicate()[0].split()] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    known = {it.conversation: it.revision for it in store.pins()}
    assert said[0] == said[1] == [known[ConversationId(f"c{k}")] for k in range(200)]
