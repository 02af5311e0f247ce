"""Captures what passes through the router, off the request's path.

    router → offer() → queue in memory → [writer: redact, write, sync] → spill file → [mover] → store

`offer` only appends to a queue. What the spill file holds is safe; before that an exchange is in memory alone, for some
ten milliseconds, and for at most 100 as long as the machine keeps up (`CaptureFigures.window` tells).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from agentkit.collect.mover import Mover
from agentkit.collect.pseudonym import keyed_hash
from agentkit.collect.redaction import Redactor
from agentkit.collect.spill import encode
from agentkit.collect.tally import CaptureFigures, Tally, Trouble
from agentkit.collect.writer import Waiting, Writer
from agentkit.config import CollectSettings
from agentkit.records import ConversationId, Exchange
from agentkit.store import Store

SPILL = "spill"
"""Folder of the spill files, below that of the settings."""
_SEGMENT_SECONDS = 0.5
_STOP_SECONDS = 10.0
CONSENTED = ("true", "yes", "given", "granted", "1")
"""What a caller may write in `metadata.consent` for yes; anything else that it writes is a no."""

log = logging.getLogger(__name__)


class Capture:
    """Of one process. `offer` is called from one thread, that of the event loop."""

    def __init__(self, settings: CollectSettings, store: Store | Callable[[], Store]) -> None:
        """`store` may be a function that opens it, which is called once it is needed, and again where it failed.

        Raises:
            ConfigError: a pattern or a region of the settings cannot be used.
        """
        self._settings = settings
        self._tally = Tally()
        self._waiting: Waiting = deque()
        self._offered_bytes = 0
        self._most_bytes = int(settings.queue_mb * 1e6)
        folder = Path(settings.folder) / SPILL
        self._mover = Mover(
            folder,
            store if callable(store) else lambda: store,
            self._tally,
            retention=None if settings.retention_days is None else timedelta(days=settings.retention_days),
            on_trouble=self._be_patient,
        )
        self._writer = Writer(
            self._waiting,
            Redactor(settings),
            folder,
            self._tally,
            segment_bytes=int(settings.segment_mb * 1e6),
            spill_bytes=int(settings.spill_mb * 1e6),
            segment_seconds=_SEGMENT_SECONDS,
            on_segment=self._mover.wake,
        )

    def offer(self, exchange: Exchange, *, size: int | None = None) -> bool:
        """Hand an exchange over. Never waits, never raises; False where it is dropped.

        One that is not sampled, or whose user does not consent, is left out, which is no drop. `size`: about how many
        bytes it holds, as JSON; left out, they are counted, which takes a moment.
        """
        tally = self._tally
        tally.offered += 1
        try:
            if not self._is_wanted(exchange):
                tally.skipped += 1
                return True
            held = len(encode(exchange)) if size is None else size
            bytes_waiting = self._offered_bytes - self._writer.taken_bytes
            if len(self._waiting) >= self._settings.queue or bytes_waiting + held > self._most_bytes:
                tally.refused += 1
                tally.trouble(Trouble.QUEUE)
                return False
            self._offered_bytes += held
            self._waiting.append((time.monotonic(), held, exchange))
            if not self._writer.wake.is_set():
                self._writer.wake.set()
        except Exception as error:
            tally.refused += 1
            log.warning("an exchange could not be taken, and is dropped: %s", type(error).__name__)
            return False
        return True

    async def start(self) -> None:
        """Begin to write, and to move what dead processes have left.

        Raises:
            ConfigError: the secret of pseudonyms cannot be read or made.
        """
        keyed_hash(self._settings.folder, "start", b"")
        self._mover.start()
        self._writer.start()

    async def stop(self) -> None:
        """Write all that was offered. What cannot be moved into the store by then stays in spill files."""
        await asyncio.to_thread(self._stop)

    @property
    def figures(self) -> CaptureFigures:
        return self._tally.figures(len(self._waiting))

    def _stop(self) -> None:
        self._writer.stop()
        if self._writer.is_alive():
            self._writer.join(_STOP_SECONDS)
        self._mover.stop()
        if self._mover.is_alive():
            self._mover.join(_STOP_SECONDS)

    def _be_patient(self, trouble: bool) -> None:
        self._writer.patient = trouble

    def _is_wanted(self, exchange: Exchange) -> bool:
        metadata = exchange.request.get("metadata")
        said = metadata.get("consent") if isinstance(metadata, Mapping) else None
        if said is None and self._settings.consent == "required":
            return False
        if said is not None and str(said).strip().lower() not in CONSENTED:
            return False
        return is_sampled(exchange.conversation, self._settings.sample)


def is_sampled(conversation: ConversationId, share: float) -> bool:
    """Whether a conversation is among the share that is kept: the same in every process, now and later."""
    if share >= 1:
        return True
    digest = hashlib.blake2b(conversation.encode("utf-8", "backslashreplace"), digest_size=8, person=b"sample")
    return int.from_bytes(digest.digest()) < share * 2**64
