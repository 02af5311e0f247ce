"""The thread that moves spill files into the store: its own process's, and those of processes that died."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agentkit.collect.spill import Segment, segments, take
from agentkit.collect.tally import Tally, Trouble
from agentkit.errors import StoreError, StoreUnavailable
from agentkit.records import Exchange, ResponseId
from agentkit.store import Store

_BATCH = 100
"""Exchanges in one transaction."""
_LOOK = 0.5
"""Seconds after which spill files are looked for, where nobody says that there is one."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_PRUNE_SECONDS = 3600.0

log = logging.getLogger(__name__)


class Mover(threading.Thread):
    """Goes on until `stop` is called, and then moves what there is, if it can."""

    def __init__(
        self,
        folder: Path,
        open_store: Callable[[], Store],
        tally: Tally,
        *,
        retention: timedelta | None,
        on_trouble: Callable[[bool], None] = lambda _: None,
    ) -> None:
        super().__init__(name="agentkit-mover", daemon=True)
        self.wake = threading.Event()
        self._folder, self._open_store, self._tally = folder, open_store, tally
        self._retention, self._on_trouble = retention, on_trouble
        self._store: Store | None = None
        self._pause = 0.0
        self._prune_at = 0.0
        self._stopping = False
        self._doubted: dict[ResponseId, int] = {}
        """What the store refused → how many exchanges it had taken by then."""

    def stop(self) -> None:
        self._stopping = True
        self.wake.set()

    def run(self) -> None:
        while not self._stopping:
            self.wake.wait(_LOOK)
            self.wake.clear()
            self._turn()
            if self._pause and not self._stopping:
                deadline = time.monotonic() + self._pause
                while not self._stopping and (left := deadline - time.monotonic()) > 0:
                    self.wake.wait(left)
                    self.wake.clear()
        self._turn()

    def _turn(self) -> None:
        try:
            self.move()
            self._prune()
        except Exception as error:  # whatever it is, this thread goes on: nobody else moves the files
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause or _FIRST_PAUSE)
            self._on_trouble(True)
            if self._tally.trouble(Trouble.STORE, str(error)):
                log.error("%s (%s)", Trouble.STORE.value, error)
            return
        if self._pause:
            log.warning("the store can be written again")
        self._pause = 0.0
        self._on_trouble(False)
        self._tally.well(Trouble.STORE)

    def move(self) -> None:
        """All segments that nobody holds, into the store.

        Raises:
            StoreError: the store takes none, or not all of a segment that it may take yet; what it did not take stays.
            OSError: the spill folder cannot be read.
        """
        there = segments(self._folder)
        self._tally.spill_bytes = sum(map(_size, there))
        failed: dict[Path, StoreError] = {}
        moved = False
        for path in there:
            try:
                moved = self._move_one(path) or moved
            except StoreUnavailable:
                raise
            except StoreError as error:
                failed[path] = error  # is it the store, or something in this one?
        trouble = [self._move_singly(path) for path in failed] if moved else [*failed.values()]
        self._tally.spill_bytes = sum(map(_size, segments(self._folder)))
        if first := next(filter(None, trouble), None):
            raise first

    def _move_one(self, path: Path) -> bool:
        with take(path) as segment:
            if segment is None:
                return False
            store = self._opened()
            for start in range(0, len(segment.exchanges), _BATCH):
                self._tally.stored += store.add_exchanges(segment.exchanges[start : start + _BATCH])
            self._finish(segment)
        return True

    def _move_singly(self, path: Path) -> StoreError | None:
        """A segment that the store refuses while it takes others, exchange by exchange.

        What it refuses again, after it has taken something new in between, is dropped. Else the store may only
        stumble: the segment stays as it is, and what the store said is given.
        """
        with take(path) as segment:
            if segment is None:
                return None
            doubted = [it for it in segment.exchanges if self._refusal(it)]
            refused: list[Exchange] = []
            for it in doubted:
                if (error := self._refusal(it)) is None:
                    continue
                if self._tally.stored <= self._doubted[it.id]:
                    return error
                refused.append(it)
            for it in refused:
                self._tally.unstorable += 1
                log.error("the store refuses exchange %s, which is dropped", it.id)
            self._finish(segment)
        return None

    def _refusal(self, it: Exchange) -> StoreError | None:
        """What the store says against an exchange; None where it is taken."""
        try:
            self._tally.stored += self._opened().add_exchanges([it])
        except StoreUnavailable:
            raise
        except StoreError as error:
            self._doubted.setdefault(it.id, self._tally.stored)
            return error
        return None

    def _finish(self, segment: Segment) -> None:
        if segment.torn:
            self._tally.torn += segment.torn
            log.warning("%s: %d bytes at its end were never wholly written, and are cut", segment.path, segment.torn)
        segment.path.unlink(missing_ok=True)
        for it in segment.exchanges:
            self._doubted.pop(it.id, None)

    def _prune(self) -> None:
        if self._retention is None or time.monotonic() < self._prune_at:
            return
        gone = self._opened().prune_exchanges((datetime.now(UTC) - self._retention).isoformat())
        self._prune_at = time.monotonic() + _PRUNE_SECONDS
        if gone:
            log.info("%d exchanges were older than they may become, and are deleted", gone)

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
        return self._store


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
