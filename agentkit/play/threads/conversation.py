"""The conversation in a checkpoint: LangChain's messages, or those of a chat API, as plain data, become records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from agentkit.play.threads.unbuilt import Delta, Unreadable
from agentkit.records import Message, ModelCall, ToolCall, Usage

_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
"""LangChain's types; those of pieces of a stream, and the names of the classes, are the same words."""
_ROLES |= {"user": "user", "assistant": "assistant", "developer": "system"}
_ANTHROPIC = ("tool_use", "tool_result")
"""Blocks of a content that are calls and answers, where no `tool_calls` say them again."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One conversation."""

    id: str
    messages: tuple[Message, ...]
    started: float
    """Seconds since 1970, of its first checkpoint."""
    ended: float


def thread(id: str, checkpoint: Any, first: str) -> Thread:
    """The conversation in the `messages` of a thread's last checkpoint; `first` is when its first was, or ''.

    Raises:
        Unreadable: its state has no list of messages, or one of them has another form.
    """
    values = checkpoint.get("channel_values") if isinstance(checkpoint, Mapping) else None
    values = values if isinstance(values, Mapping) else {}
    said = values.get("messages")
    if isinstance(said, Delta):
        raise Unreadable("its messages are kept as changes, which only the graph that wrote them can add up")
    if not isinstance(said, list) or not said:
        known = ", ".join(sorted(str(name) for name in values if not str(name).startswith("__"))) or "none"
        raise Unreadable(f"expected a list of messages in the channel `messages`, found the channels: {known}")
    ended = _seconds(checkpoint.get("ts"))
    return Thread(id, messages(said), _seconds(first) or ended, ended)


def messages(said: Sequence[Any]) -> tuple[Message, ...]:
    """Messages, as plain data, as records. A turn begins where the user speaks after anybody else did.

    Raises:
        Unreadable: one of them has another form.
    """
    found: list[Message] = []
    turn, before = -1, ""
    names: dict[str, str] = {}
    for number, it in enumerate(said):
        role = _role(it, number)
        turn += role == "user" and before != "user"
        before = role
        calls = _calls(it, number)
        _check_content(it, role, calls, number)
        names |= {call.id: call.name for call in calls}
        answers = str(it.get("tool_call_id") or "") if role == "tool" else ""
        found.append(
            Message(
                role=role,
                content=_words(it.get("content")),
                turn=turn,
                tool_calls=calls,
                tool_call_id=answers or None,
                name=(str(it.get("name") or "") or names.get(answers)) if role == "tool" else None,
                error="ToolException" if role == "tool" and it.get("status") == "error" else None,
                call=_model_call(it) if role == "assistant" else None,
            )
        )
    return tuple(found)


def _role(message: Any, number: int) -> str:
    if not isinstance(message, Mapping):
        raise Unreadable(f"messages[{number}]: expected a message, found {type(message).__name__}")
    told = [kind for kind in (message.get("type"), message.get("role")) if isinstance(kind, str)]
    for kind in told:
        role = _ROLES.get(kind.removesuffix("Chunk").removesuffix("Message").lower())
        if role is not None:
            return role
    found = " and ".join(f"{kind[:40]!r}" for kind in told) or "none"
    raise Unreadable(f"messages[{number}]: expected the type or role human, ai, system or tool, found {found}")


def _check_content(message: Mapping[str, Any], role: str, calls: Sequence[ToolCall], number: int) -> None:
    """Raises Unreadable where what a message says would be lost."""
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise Unreadable(f"messages[{number}].content: expected a text or a list, found {type(content).__name__}")
    if calls:
        return
    if content is None and role != "tool":
        raise Unreadable(f"messages[{number}]: expected `content` or `tool_calls`, found neither")
    for block in _objects(content):
        if block.get("type") in _ANTHROPIC:
            found = f"found a block {block['type']}, expected `tool_calls` and messages of the role tool"
            raise Unreadable(f"messages[{number}].content: {found}")


def _calls(message: Mapping[str, Any], number: int) -> tuple[ToolCall, ...]:
    found = []
    for place, call in enumerate(_objects(message.get("tool_calls")) + _objects(message.get("invalid_tool_calls"))):
        id, name, arguments = (call.get(key) for key in ("id", "name", "args"))
        if isinstance(function := call.get("function"), Mapping):  # as the chat APIs write it
            name, arguments = function.get("name"), _parsed(function.get("arguments"))
        whole = arguments if isinstance(arguments, dict) else None
        raw = None if whole is not None else str(arguments or "")
        found.append(ToolCall(str(id or f"call-{number}-{place}"), str(name or ""), whole, raw))
    return tuple(found)


def _parsed(arguments: Any) -> Any:
    """An object from its JSON; whatever else it is stays as it was."""
    try:
        parsed = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def _model_call(message: Mapping[str, Any]) -> ModelCall | None:
    """None where the message says nothing of the request that it came from."""
    about, counted = (_mapping(message.get(key)) for key in ("response_metadata", "usage_metadata"))
    model = about.get("model_name") or about.get("model")
    if not model and not counted:
        return None
    cached, thought = (
        _mapping(counted.get(f"{side}_token_details")).get(key)
        for side, key in (("input", "cache_read"), ("output", "reasoning"))
    )
    reason = about.get("finish_reason")
    return ModelCall(
        str(model or "unknown"),
        Usage(
            _count(counted.get("input_tokens")), _count(counted.get("output_tokens")), _count(thought), _count(cached)
        ),
        finish_reason=reason if isinstance(reason, str) else None,
        response_id=str(about["id"]) if about.get("id") else None,
    )


def _words(content: Any) -> str:
    """The words of a content: a text, or a list of texts and of blocks with a `text`."""
    if isinstance(content, list):
        words = (it if isinstance(it, str) else _mapping(it).get("text") for it in content)
        return "\n".join(it for it in words if isinstance(it, str))
    return content if isinstance(content, str) else ""


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [it for it in value if isinstance(it, Mapping)] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    return max(0, value) if isinstance(value, int) else 0


def _seconds(moment: Any) -> float:
    """Since 1970; 0 where it is no time."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
