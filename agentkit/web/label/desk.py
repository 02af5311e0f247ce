"""What the page's server asks of the store: the queue, one conversation, and what all labels say together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock

from agentkit.collect.labels.agreement import Agreement, agreement
from agentkit.collect.labels.lots import lots
from agentkit.collect.labels.queue import Answer, Queue, answer_of, to_recall
from agentkit.config import LabelSettings
from agentkit.records import Exchange, Feedback, ResponseId
from agentkit.store import Store

MOST = 2_000
"""Newest exchanges that are offered; and about as many older ones of which something was said."""
_AT_ONCE = 100
"""Conversations that are read together."""

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
        self._recalled: frozenset[ResponseId] = frozenset()
        self._until = float("-inf")

    def queue(self) -> Queue:
        """As it stands now."""
        said = self._said()
        answers, recalled = self._known(said)
        return Queue(answers, said, self.settings, recalled)

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

    def _known(self, said: Sequence[Feedback]) -> tuple[Sequence[Answer], frozenset[ResponseId]]:
        """What is offered, in the order in which it came in, and which of it is older than the newest."""
        with self._lock:
            if self._clock() >= self._until:
                newest = _answers(self.store.exchanges(since=self._since(), limit=self._most))
                older = self._older(said, newest)
                self._answers = sorted([*older.values(), *newest.values()], key=lambda it: it.exchange.at)
                self._recalled = frozenset(older)
                self._until = self._clock() + _FRESH
            return self._answers, self._recalled

    def _older(self, said: Sequence[Feedback], newest: Mapping[ResponseId, Answer]) -> dict[ResponseId, Answer]:
        """Of conversations of which something was said, as far as they are not among the newest."""
        names, found = to_recall(said, self.settings), dict[ResponseId, Answer]()
        for start in range(0, len(names), _AT_ONCE):
            talks = self.store.exchanges(conversations=names[start : start + _AT_ONCE], since=self._since())
            found |= {id: it for id, it in _answers(talks).items() if id not in newest}
            if len(found) >= self._most:
                break
        return found

    def _said(self) -> list[Feedback]:
        return self.store.feedback(since=self._since())

    def _since(self) -> str:
        return (datetime.now(UTC) - timedelta(days=self.settings.days)).isoformat(timespec="milliseconds")


def _answers(exchanges: Iterable[Exchange]) -> dict[ResponseId, Answer]:
    return {it.id: it for it in map(answer_of, exchanges) if it is not None}
