"""A captured exchange as the conversation that it is, for whoever reads or judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from agentkit.records import Exchange, Message, ToolCall


def messages_of(exchange: Exchange) -> tuple[Message, ...]:
    """What the model was sent and what it answered, last."""
    return said_of(exchange.request, exchange.response)


def said_of(request: Mapping[str, Any], response: Mapping[str, Any] | None = None) -> tuple[Message, ...]:
    """The messages of a request, and the answer to it; turns are counted by the user's messages.

    Captured bodies are foreign: what is no message is passed over, what is no text is written as JSON.
    """
    sent = request.get("messages")
    found: list[Message] = []
    turn = -1
    for raw in [*(sent if isinstance(sent, Sequence) and not isinstance(sent, str) else ()), response]:
        if not isinstance(raw, Mapping):
            continue
        role = str(raw.get("role", "assistant"))
        turn += role == "user"
        found.append(_message(raw, role, turn))
    return tuple(found)


def read_calls(raw: Any) -> tuple[ToolCall, ...]:
    """The tool calls of a message in the Chat Completions form."""
    found = []
    for call in raw if isinstance(raw, Sequence) and not isinstance(raw, str) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            written = function.get("arguments")
            arguments = _arguments(written)
            name, id = _text(function.get("name")), _text(call.get("id"))
            found.append(ToolCall(id, name, arguments, _text(written) if arguments is None else None))
    return tuple(found)


def _message(raw: Mapping[str, Any], role: str, turn: int) -> Message:
    id, name, thoughts = raw.get("tool_call_id"), raw.get("name"), raw.get("reasoning_content") or raw.get("reasoning")
    return Message(
        role=role,
        content=_content(raw.get("content")),
        turn=turn,
        tool_calls=read_calls(raw.get("tool_calls")),
        tool_call_id=None if id is None else _text(id),
        name=None if name is None else _text(name),
        reasoning=None if thoughts is None else _text(thoughts),
    )


def _content(content: Any) -> str:
    """Of parts, the texts; of what is no text, its JSON."""
    if not isinstance(content, list):
        return _text(content)
    return "\n".join(_text(it["text"] if isinstance(it, Mapping) and "text" in it else it) for it in content)


def _arguments(written: Any) -> Mapping[str, Any] | None:
    if isinstance(written, str):
        try:
            written = orjson.loads(written)
        except orjson.JSONDecodeError:
            return None
    return written if isinstance(written, Mapping) else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
