"""How much of what was recorded arrived, told once at the end instead of in a stream of messages."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agentkit.redact import redact

_LOG = logging.getLogger(__name__)


@dataclass
class Delivery:
    """The account of one signal (`traces`, `logs`, `metrics`): where it goes and how much of it was lost."""

    signal: str
    place: Path | str
    """A file, or the address of a collector without credentials and query: fit to be shown."""
    lost: int = 0
    total: int = 0
    queued: int = 0
    """Records that were put into a queue before the exporter, where there is one: a full one drops the oldest."""
    reason: str = ""
    """What the exporter last said about a failure."""
    closing: bool = False
    hopeless: bool = False
    """Whether something was lost since closing began: no reason to wait for more of the same."""
    abandoned: bool = False
    """Whether closing took so long that nobody waited for its end."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def queue(self, count: int) -> None:
        with self._lock:
            self.queued += count

    def settle(self) -> None:
        """At the end: what was put into the queue and never came to the exporter was dropped."""
        if not self.abandoned and (dropped := self.queued - self.total) > 0:
            self.note(dropped, arrived=False)
            self.reason = self.reason or "there were more than its queue holds"

    def note(self, count: int, arrived: bool) -> None:
        with self._lock:
            self.total += count
            if not arrived:
                self.lost += count
                self.hopeless = self.closing

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        more = " and what was still waiting" if self.abandoned else ""
        return f"{self.lost} of {self.total} {self.signal} records{more} did not reach {self.place}{reason}"


def report(deliveries: Iterable[Delivery]) -> None:
    """Logs one warning if anything was lost, else nothing."""
    losses = [str(delivery) for delivery in deliveries if delivery.lost or delivery.abandoned]
    if losses:
        _LOG.warning("telemetry is incomplete: %s", "; ".join(losses))


class Overheard(logging.Filter):
    """Keeps an exporter's messages out of the log until `stop`; remembers its last error, secrets removed.

    `begins`: only those that begin so.
    """

    def __init__(self, delivery: Delivery, logger: str, begins: str = "") -> None:
        super().__init__()
        self._delivery = delivery
        self._begins = begins
        self._logger = logging.getLogger(logger)
        self._logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.getMessage().startswith(self._begins):
            return True
        if record.levelno >= logging.ERROR:
            self._delivery.reason = redact(_without_query(record.getMessage()))[:200]
        return False

    def stop(self) -> None:
        self._logger.removeFilter(self)


def _without_query(message: str) -> str:
    """A message with the query strings of its URLs cut out: a collector's address may hold a key there."""
    return re.sub(r"\?[^\s)'\"]+", "?…", message)
