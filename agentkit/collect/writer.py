"""The thread that takes exchanges from memory to the disk: redacts them, writes them, and syncs them in groups."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from pathlib import Path

from agentkit.collect.redaction import Redactor
from agentkit.collect.spill import SegmentWriter, encode
from agentkit.collect.tally import Tally, Trouble
from agentkit.records import Exchange

Waiting = deque[tuple[float, int, Exchange]]
"""When each came in (monotonic seconds), how many bytes it holds, and itself."""

_GATHER = 0.01
"""Seconds in which exchanges gather, so that one sync serves several."""
_BATCH_SECONDS = 0.03
_BATCH_BYTES = 4 * 2**20
"""A batch is written once redacting it took so long, or it has become so large."""
_IDLE = 0.25

log = logging.getLogger(__name__)


class Writer(threading.Thread):
    """Ends, with all that waits written, once `stop` is called."""

    def __init__(
        self,
        waiting: Waiting,
        redactor: Redactor,
        folder: Path,
        tally: Tally,
        *,
        segment_bytes: int,
        spill_bytes: int,
        segment_seconds: float,
        on_segment: threading.Event,
    ) -> None:
        super().__init__(name="agentkit-spill", daemon=True)
        self.wake = threading.Event()
        self.taken_bytes = 0
        """Of all exchanges that were taken from `waiting` so far."""
        self.patient = False
        """Whether the store is in trouble: segments are then closed rarely, since nobody can move them."""
        self._waiting, self._redactor, self._folder, self._tally = waiting, redactor, folder, tally
        self._segment_bytes, self._spill_bytes, self._segment_seconds = segment_bytes, spill_bytes, segment_seconds
        self._on_segment = on_segment
        self._segment: SegmentWriter | None = None
        self._begun = 0.0
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True
        self.wake.set()

    def run(self) -> None:
        while True:
            self.wake.wait(_IDLE)
            self.wake.clear()
            if self._waiting and not self._stopping:
                time.sleep(_GATHER)
            while self._waiting:
                self._batch()
            if self._stopping and not self._waiting:
                self._rotate()
                return
            if self._segment is not None and time.monotonic() - self._begun >= self._age():
                self._rotate()

    def _age(self) -> float:
        return self._segment_seconds * (20 if self.patient else 1)

    def _batch(self) -> None:
        """Some of what waits, to the disk; in the order in which it came in."""
        begun, oldest, size = time.monotonic(), None, 0
        contents: list[bytes] = []
        while self._waiting and size < _BATCH_BYTES and time.monotonic() - begun < _BATCH_SECONDS:
            came, held, exchange = self._waiting.popleft()
            self.taken_bytes += held
            oldest = came if oldest is None else oldest
            try:
                content = encode(self._redactor.exchange(exchange))
            except Exception as error:  # whatever is wrong with one, the others go on; its words are nobody's to read
                self._tally.lost += 1
                log.warning("an exchange could not be redacted, and is dropped: %s", type(error).__name__)
                continue
            contents.append(content)
            size += len(content)
        if contents and self._write(contents, size) and oldest is not None:
            self._tally.window = time.monotonic() - oldest

    def _write(self, contents: list[bytes], size: int) -> bool:
        if self._tally.spill_bytes + size > self._spill_bytes:
            self._lose(len(contents), Trouble.SPILL, f"{self._spill_bytes / 1e6:.0f} MB")
            return False
        try:
            if self._segment is None:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._segment, self._begun = SegmentWriter(self._folder), time.monotonic()
            self._segment.append(contents)
        except OSError as error:
            self._lose(len(contents), Trouble.DISK, error.strerror or str(error))
            self._rotate()
            return False
        self._tally.well(Trouble.DISK)
        self._tally.well(Trouble.SPILL)
        self._tally.spilled += len(contents)
        self._tally.spill_bytes += size  # until the mover measures the files the next time
        if self._segment.synced >= self._segment_bytes:
            self._rotate()
        return True

    def _lose(self, count: int, kind: Trouble, why: str) -> None:
        self._tally.lost += count
        if self._tally.trouble(kind, why):
            log.error("%s (%s)", kind.value, why)

    def _rotate(self) -> None:
        if self._segment is not None:
            segment, self._segment = self._segment, None
            try:
                segment.close()
            except OSError as error:
                log.warning("a spill file could not be closed: %s", error.strerror)
            self._on_segment.set()
