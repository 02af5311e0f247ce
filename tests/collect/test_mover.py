"""What the mover does where the store fails: nothing that was acknowledged is lost, and nothing stops the rest."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from agentkit.collect.mover import Mover
from agentkit.collect.spill import SegmentWriter, encode, segments
from agentkit.collect.tally import Tally
from agentkit.errors import StoreError, StoreUnavailable
from agentkit.records import Exchange
from agentkit.store import Store
from tests.collect.captured import make_exchange

Failing = Callable[[Callable[[Sequence[Exchange]], bool]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spill").mkdir()
    return tmp_path / "spill"


@pytest.fixture
def mover(folder: Path, store: Store) -> Mover:
    return Mover(folder, lambda: store, Tally(), retention=None)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Makes a store of which the database fails where `fails(batch)` says so."""
    add = Store.add_exchanges

    def set_up(fails: Callable[[Sequence[Exchange]], bool]) -> None:
        def add_or_fail(self: Store, batch: Sequence[Exchange]) -> int:
            if fails(batch):
                raise StoreError("not now")
            return add(self, batch)

        monkeypatch.setattr(Store, "add_exchanges", add_or_fail)

    return set_up


def spill(folder: Path, *ids: str, **changes: Any) -> Path:
    writer = SegmentWriter(folder)
    writer.append([encode(make_exchange(it, **changes)) for it in ids])
    writer.close()
    return writer.path


def stored(store: Store) -> str:
    return "".join(sorted(it.id for it in store.exchanges()))


@pytest.mark.parametrize("down", [{1, 3, 4, 5, 6, 7, 8}, {1, 3}, {1, 3, 5}, {1, 4}, {1, 5, 6}, {1}, set(range(1, 9))])
def test_a_store_that_fails_for_a_while_loses_nothing(
    mover: Mover, folder: Path, store: Store, failing: Failing, down: set[int]
) -> None:
    """`down`: the calls that fail, the first being that for a whole segment."""
    calls = iter(range(1, 99))
    spill(folder, "a", "b", "c")
    spill(folder, "d")
    failing(lambda _: next(calls) in down)
    for _ in range(2):
        try:
            mover.move()
        except StoreError:
            assert segments(folder)
    failing(lambda _: False)
    mover.move()
    assert stored(store) == "abcd"
    assert (mover._tally.unstorable, mover._tally.stored) == (0, 4)
    assert segments(folder) == []
    assert not mover._doubted


def test_rows_that_the_store_never_takes_stop_no_others_wherever_they_stand(
    mover: Mover, folder: Path, store: Store, failing: Failing
) -> None:
    failing(lambda batch: any(it.id.isupper() for it in batch))
    spill(folder, "X", "Y", "a")
    last, alone = spill(folder, "b", "V", "W"), spill(folder, "Z")
    spill(folder, "c")
    with pytest.raises(StoreError, match="not now"):
        mover.move()
    assert stored(store) == "abc"
    assert mover._tally.unstorable == 2, "nothing new came after the other three"
    assert segments(folder) == [last, alone]
    with pytest.raises(StoreError, match="not now"):
        mover.move()
    spill(folder, "d")
    mover.move()
    assert stored(store) == "abcd"
    assert mover._tally.unstorable == 5
    assert segments(folder) == []


def test_a_store_that_is_nearly_full_keeps_what_is_too_large_for_now(mover: Mover, folder: Path, store: Store) -> None:
    def limit(pages: int) -> None:
        event.listen(store._engine, "begin", lambda it: it.exec_driver_sql(f"PRAGMA max_page_count = {pages}"))

    with store._engine.connect() as connection:
        used = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    limit(used + 10)
    text = "".join(random.Random(1).choices(string.printable, k=200_000))
    spill(folder, "l", request={"messages": [{"role": "user", "content": text}]})
    spill(folder, "s")
    store.add_exchanges([make_exchange("a")])
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            mover.move()
    limit(used + 1000)
    mover.move()
    assert stored(store) == "als"
    assert mover._tally.unstorable == 0
