"""A captured conversation as it is shown: the answer in question apart, long texts folded, nothing left out unsaid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from agentkit.collect.feedback.talk import messages_of
from agentkit.records import Exchange, Message
from agentkit.report.text import LONGEST

_HEAD = 4_000
"""Characters that are shown unfolded."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text, its beginning apart where it is long."""

    head: str
    rest: str
    length: int
    """Characters of the whole."""

    @property
    def cut(self) -> bool:
        """Whether not all of it is on the page."""
        return self.length > len(self.head) + len(self.rest)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that was called."""

    name: str
    arguments: Text


@dataclass(frozen=True, slots=True)
class Line:
    """One message."""

    who: str
    """`user`, `agent`, `system`, `tool`, or whatever the role was called."""
    text: Text
    calls: tuple[Call, ...] = ()
    thinks: Text | None = None
    structured: bool = False
    """Whether the text is JSON, laid out."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A conversation around the answer in question."""

    before: tuple[Line, ...]
    asked: Line
    after: tuple[Line, ...]
    """What followed, as far as it was captured."""


def shown(exchange: Exchange, talk: Sequence[Exchange]) -> Shown:
    """The conversation of an exchange that has an answer; `talk`: all exchanges of it."""
    messages = messages_of(exchange)
    lines = tuple(map(_line, messages))
    return Shown(lines[:-1], lines[-1], tuple(map(_line, _after(exchange, messages, talk))))


def text_of(value: str) -> Text:
    """Cut where it is longer than a page bears."""
    return Text(value[:_HEAD], value[_HEAD:LONGEST], len(value))


def laid_out(value: str) -> str | None:
    """A text that is a JSON object or list, laid out; None of any other."""
    if not value.lstrip().startswith(("{", "[")) or len(value) > LONGEST:
        return None
    try:
        return orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def _after(exchange: Exchange, messages: Sequence[Message], talk: Sequence[Exchange]) -> Sequence[Message]:
    """Of the latest exchange that goes on from this one: what follows this answer."""
    for later in sorted(talk, key=lambda it: it.at, reverse=True):
        if later.at <= exchange.at or later.id == exchange.id:
            continue
        found = messages_of(later)
        if len(found) > len(messages) and _same(found[: len(messages)], messages):
            return found[len(messages) :]
    return ()


def _same(some: Sequence[Message], others: Sequence[Message]) -> bool:
    return all(
        (it.role, it.content, len(it.tool_calls)) == (other.role, other.content, len(other.tool_calls))
        for it, other in zip(some, others, strict=True)
    )


def _line(message: Message) -> Line:
    who = {"assistant": "agent"}.get(message.role, message.role)
    if message.role == "tool" and message.name:
        who = f"tool {message.name}"
    neat = laid_out(message.content)
    return Line(
        who=who,
        text=text_of(message.content if neat is None else neat),
        calls=tuple(Call(it.name, text_of(_arguments(it.arguments, it.raw))) for it in message.tool_calls),
        thinks=None if not message.reasoning else text_of(message.reasoning),
        structured=neat is not None,
    )


def _arguments(arguments: object, raw: str | None) -> str:
    if arguments is None:
        return raw or ""
    return orjson.dumps(arguments, option=orjson.OPT_INDENT_2, default=str).decode()
