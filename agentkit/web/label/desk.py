"""What the page's server asks of the store: the queue, one conversation, and what all labels say together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock

from agentkit.collect.labels.agreement import Agreement, agreement
from agentkit.collect.labels.lots import lots
from agentkit.collect.labels.queue import Answer, Queue, answer_of
from agentkit.config import LabelSettings
from agentkit.records import Exchange, Feedback, ResponseId
from agentkit.store import Store

MOST = 2_000
"""Newest exchanges that are offered."""

_FRESH = 15.0
"""Seconds for which the captured answers are taken as known; what is said of them is read anew each time."""


class Desk:
    """Reads for the page. Safe to share between threads."""

    def __init__(
        self, store: Store, settings: LabelSettings, clock: Callable[[], float] = time.monotonic, most: int = MOST
    ) -> None:
        self.store = store
        self.settings = settings
        self._clock = clock
        self._most = most
        self._lock = Lock()
        self._answers: Sequence[Answer] = ()
        self._until = float("-inf")

    def queue(self) -> Queue:
        """As it stands now."""
        return Queue(self._known(), self._said(), self.settings)

    def agreement(self) -> Agreement:
        """Over the answers drawn by lot."""
        said = self._said()
        return agreement(said, lots(said, self.settings), self.settings.window)

    def exchange(self, response: str) -> Exchange | None:
        """The captured exchange, where it has an answer to judge."""
        found = self.store.exchange(ResponseId(response))
        return None if found is None or answer_of(found) is None else found

    def talk(self, exchange: Exchange) -> list[Exchange]:
        """All of its conversation."""
        return self.store.exchanges(conversation=exchange.conversation)

    def _known(self) -> Sequence[Answer]:
        with self._lock:
            if self._clock() >= self._until:
                found = self.store.exchanges(since=self._since(), limit=self._most)
                self._answers = [it for it in map(answer_of, found) if it is not None]
                self._until = self._clock() + _FRESH
            return self._answers

    def _said(self) -> list[Feedback]:
        return self.store.feedback(since=self._since())

    def _since(self) -> str:
        return (datetime.now(UTC) - timedelta(days=self.settings.days)).isoformat(timespec="milliseconds")
