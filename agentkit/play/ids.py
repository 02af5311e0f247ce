"""Ids of tool calls. An agent may use one again and again; in the record of a turn each call has its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from agentkit.records import Message, ToolCall


def ids(messages: Iterable[Message], turn: int) -> set[str]:
    """Of the calls of a turn."""
    return {call.id for message in messages if message.turn == turn for call in message.tool_calls}


def unlike(call: ToolCall, taken: set[str]) -> ToolCall:
    """The call with an id that is not among `taken`, which it joins."""
    own, times = call.id, 1
    while own in taken:
        times += 1
        own = f"{call.id}#{times}"
    taken.add(own)
    return replace(call, id=own)


def distinct(messages: Sequence[Message], taken: set[str]) -> tuple[Message, ...]:
    """The messages with ids that are neither repeated nor among `taken`; answers belong to equal ids in order."""
    waiting: dict[str, list[str]] = {}
    found = []
    for message in messages:
        calls = tuple(unlike(call, taken) for call in message.tool_calls)
        for asked, call in zip(message.tool_calls, calls, strict=True):
            waiting.setdefault(asked.id, []).append(call.id)
        answers = message.tool_call_id
        if message.role == "tool" and waiting.get(answers or ""):
            answers = waiting[answers or ""].pop(0)
        found.append(replace(message, tool_calls=calls, tool_call_id=answers))
    return tuple(found)
