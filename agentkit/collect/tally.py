"""What becomes of the exchanges that are offered, counted; and the trouble that somebody should look at."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum


class Trouble(StrEnum):
    """What keeps exchanges from being kept."""

    QUEUE = "the queue is full: exchanges are dropped"
    DISK = "the spill file cannot be written: exchanges are dropped"
    SPILL = "the spill files have reached their limit: exchanges are dropped"
    STORE = "the store cannot be written: exchanges wait in spill files"


_QUEUE_SECONDS = 60.0
"""How long a full queue is told after it last was one; other trouble ends with the next success."""


@dataclass(frozen=True, slots=True)
class CaptureFigures:
    """Since the start of this process."""

    offered: int
    skipped: int
    """Left out on purpose: not sampled, or without the user's consent."""
    dropped: int
    """Lost: the queue or the disk was full, or the content could not be handled."""
    spilled: int
    """On the disk, and safe from then on."""
    stored: int
    """New in the store; those that another process had spilled are among them."""
    torn: int
    """Bytes of spill files that could not be read."""
    depth: int
    """Exchanges that wait in memory."""
    spill_bytes: int
    """Bytes of spill files that wait for the store."""
    window: float
    """Seconds for which the slowest of the last exchanges was in memory alone."""
    alarm: str | None
    """The trouble, in words."""


@dataclass(slots=True)
class Tally:
    """Each count is written by one thread only; of `spill_bytes`, which two write, only the measure matters."""

    offered: int = 0
    skipped: int = 0
    refused: int = 0
    """By the queue."""
    lost: int = 0
    """By the writer of spill files."""
    unstorable: int = 0
    """By the store."""
    spilled: int = 0
    stored: int = 0
    torn: int = 0
    spill_bytes: int = 0
    window: float = 0.0
    _trouble: dict[Trouble, tuple[float, str]] = field(default_factory=dict)

    def trouble(self, kind: Trouble, why: str = "") -> bool:
        """Note it, and say whether it is new."""
        is_new = kind not in self._trouble
        self._trouble[kind] = (time.monotonic(), why)
        return is_new

    def well(self, kind: Trouble) -> None:
        self._trouble.pop(kind, None)

    def figures(self, depth: int) -> CaptureFigures:
        return CaptureFigures(
            offered=self.offered,
            skipped=self.skipped,
            dropped=self.refused + self.lost + self.unstorable,
            spilled=self.spilled,
            stored=self.stored,
            torn=self.torn,
            depth=depth,
            spill_bytes=self.spill_bytes,
            window=self.window,
            alarm=self._alarm(),
        )

    def _alarm(self) -> str | None:
        now = time.monotonic()
        said = [
            f"{kind.value} ({why})" if why else kind.value
            for kind, (since, why) in sorted(self._trouble.items())
            if kind is not Trouble.QUEUE or now - since < _QUEUE_SECONDS
        ]
        return "; ".join(said) or None
