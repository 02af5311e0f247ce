"""Requests to a model, put together to the conversations that they are pieces of.

Every request repeats what was said before it, so a conversation shows as requests of which each begins with the one
before and its answer. Clients that send only the last messages are joined where those overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agentkit.ingest.said import Chat, Said

_SURE = 2
"""Messages that are enough to know a conversation by: a question and its answer."""


@dataclass(slots=True)
class Talk:
    """A conversation as far as it was put together."""

    said: list[Said] = field(default_factory=list)
    chats: dict[int, Chat] = field(default_factory=dict)
    """Place in `said` → the request that brought this answer."""
    traces: list[str] = field(default_factory=list)
    aside: int = 0
    """Requests that belong to other conversations inside the same traces: a helper's, a summary's."""

    def extend(self, chat: Chat, overlap: int) -> None:
        """Take in what a request adds; its first `overlap` messages are known."""
        self.said += chat.asked[overlap:]
        self._answered(chat)

    def append(self, other: Talk) -> None:
        """Go on with another talk."""
        self.chats |= {len(self.said) + place: chat for place, chat in other.chats.items()}
        self.said += other.said

    def _answered(self, chat: Chat) -> None:
        for said in chat.outputs:
            self.chats[len(self.said)] = chat
            self.said.append(said)

    @property
    def begun(self) -> tuple[Said, ...]:
        """What was said before the first answer."""
        return tuple(self.said[: min(self.chats, default=len(self.said))])

    @property
    def system(self) -> str | None:
        """The instructions of the first request that has any."""
        for place in sorted(self.chats):
            said = [it.content for it in self.chats[place].inputs if it.role == "system"]
            if said:
                return "\n\n".join(said)
        return None


def session_talk(traces: Iterable[Sequence[Chat]]) -> Talk:
    """The conversation of a session: its traces in order, each the requests of one trace in order.

    Of a trace that does not take up what was said before (a client that keeps its history elsewhere), the conversation
    that the next trace goes on from is the next part of the session's, else the longest.
    """
    talk = Talk()
    parts = list(traces)
    for chats, following in zip(parts, (*parts[1:], ()), strict=False):
        threads = [talk]
        before = len(talk.said)
        for chat in chats:
            _place(chat, threads)
        own = _main(threads[1:], following)
        if own is not None and len(talk.said) == before:
            talk.append(own)
            threads.remove(own)
        talk.traces.append(chats[0].trace)
        talk.aside += sum(len(thread.chats) for thread in threads[1:])
    return talk


def _main(threads: Sequence[Talk], following: Sequence[Chat]) -> Talk | None:
    """Which of a trace's conversations is the session's: a helper's, or a guard's, may be as long. None of none."""

    def taken_up(thread: Talk) -> bool:
        length, said = len(thread.said), tuple(thread.said)
        return length >= _SURE and any(chat.asked[:length] == said for chat in following)

    return max(threads, key=lambda thread: (taken_up(thread), len(thread.said)), default=None)


def _place(chat: Chat, threads: list[Talk]) -> None:
    """Put a request where it goes on, or begin another thread."""
    for thread in threads:
        overlap = common(thread.said, chat.asked)
        if overlap:
            thread.extend(chat, overlap)
            return
    begun = Talk()
    begun.extend(chat, 0)
    threads.append(begun)


def common(known: Sequence[Said], new: Sequence[Said]) -> int:
    """The greatest number of messages with which `known` ends and `new` begins."""
    for length in range(min(len(known), len(new)), 0, -1):
        if all(a is b or a == b for a, b in zip(reversed(known[-length:]), reversed(new[:length]), strict=True)):
            return length
    return 0


def sessions_from_prefixes(traces: Iterable[Sequence[Chat]]) -> list[list[Sequence[Chat]]]:
    """Traces without a session, each joined to the last one that holds a whole conversation with which it begins.

    At least a question and its answer must be the same: two users may both say hello. A trace may hold several
    conversations: a guard's before the agent's, or behind it.
    """
    open_ends: dict[tuple[Said, ...], list[Sequence[Chat]]] = {}
    lengths: set[int] = set()
    sessions: list[list[Sequence[Chat]]] = []
    for chats in traces:
        threads: list[Talk] = []
        for chat in chats:
            _place(chat, threads)
        begun = [thread.begun for thread in threads]
        ends = (it[:length] for length in sorted(lengths, reverse=True) for it in begun if length <= len(it))
        session = next((found for end in ends if (found := open_ends.pop(end, None)) is not None), None)
        if session is None:
            sessions.append(session := [])
        session.append(chats)
        for thread in threads:
            if len(thread.said) >= _SURE:
                open_ends[tuple(thread.said)] = session
                lengths.add(len(thread.said))
    return sessions
