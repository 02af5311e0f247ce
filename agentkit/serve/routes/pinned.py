"""Conversations and the revision that each keeps: in memory, and written to the store a moment later."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from agentkit.records import Arm, ConversationId, Pin
from agentkit.store import stamp

IDLE = 1_800.0
"""Seconds without a request after which a conversation has ended."""
SAVED_EVERY = 60.0
"""Seconds that the time of a conversation's last request may be ahead of the store's."""


@dataclass(slots=True)
class Held:
    """A running conversation."""

    revision: int
    arm: Arm
    seen: float
    """Seconds since 1970; of its last request."""
    saved: float = 0.0
    """The same, as the store knows it."""
    repinned_from: int | None = None
    checked: int = 0
    """The newest revision that was looked through for safety rollbacks."""

    def pin(self, conversation: ConversationId) -> Pin:
        return Pin(conversation, self.revision, self.arm, written(self.seen), self.repinned_from)

    @classmethod
    def of(cls, pin: Pin) -> Held:
        seen = datetime.fromisoformat(pin.seen_at).timestamp()
        return cls(pin.revision, pin.arm, seen, seen, pin.repinned_from)


class Pinned:
    """The conversations that this process has seen. Safe to share between threads."""

    def __init__(self) -> None:
        self._held: dict[ConversationId, Held] = {}
        self._unsaved: dict[ConversationId, Pin] = {}
        self._lock = threading.Lock()

    def get(self, conversation: ConversationId, now: float) -> Held | None:
        """The conversation, seen again just now; None where it is not known here, or has ended."""
        held = self._held.get(conversation)
        if held is None or now - held.seen > IDLE:
            return None
        held.seen = max(held.seen, now)
        if held.seen - held.saved > SAVED_EVERY:
            self.save(conversation, held)
        return held

    def put(self, conversation: ConversationId, held: Held, now: float) -> Held:
        """Pin a conversation that was not known; give the pin that it has where another thread was first."""
        with self._lock:
            known = self._held.get(conversation)
            if known is not None and now - known.seen <= IDLE:
                return known
            self._held[conversation] = held
        self.save(conversation, held)
        return held

    def save(self, conversation: ConversationId, held: Held) -> None:
        """Have it written to the store with the next batch."""
        with self._lock:
            held.saved = held.seen
            self._unsaved[conversation] = held.pin(conversation)

    def known(self, pin: Pin) -> None:
        """Take up a conversation as the store knows it."""
        with self._lock:
            self._held.setdefault(pin.conversation, Held.of(pin))

    def unsaved(self) -> list[Pin]:
        """What is to be written; it is given once."""
        with self._lock:
            batch, self._unsaved = list(self._unsaved.values()), {}
        return batch

    def again(self, batch: list[Pin]) -> None:
        """What could not be written is due again, where nothing newer is."""
        with self._lock:
            self._unsaved = {it.conversation: it for it in batch} | self._unsaved

    def adopt(self, pin: Pin, sent: Pin) -> None:
        """What the store holds where another process was first. A pin that changed since it was `sent` is left."""
        with self._lock:
            held = self._held.get(sent.conversation)
            if held is not None and held.revision == sent.revision != pin.revision:
                self._held[sent.conversation] = Held(pin.revision, pin.arm, held.seen, held.saved, pin.repinned_from)

    def all(self) -> list[tuple[ConversationId, Held]]:
        with self._lock:
            return list(self._held.items())

    def revisions(self) -> set[int]:
        """Of running conversations."""
        return {held.revision for _, held in self.all()}

    def sweep(self, now: float) -> None:
        """Let go of conversations that have ended; the store learns when they were last seen."""
        for conversation, held in self.all():
            if now - held.seen > IDLE:
                if held.seen > held.saved:
                    self.save(conversation, held)
                with self._lock:
                    if self._held.get(conversation) is held and now - held.seen > IDLE:
                        del self._held[conversation]


def written(seconds: float) -> str:
    return stamp(datetime.fromtimestamp(seconds, UTC))
