"""A corrected answer: what the assistant should have said or called, checked before it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from agentkit.errors import FeedbackError, near_match

LONGEST_ANSWER = 100_000
"""Bytes of one corrected answer, as JSON."""
_MOST_CALLS = 32
_MEMBERS = ("role", "content", "tool_calls")


def read_answer(value: Any, field: str, tools: Sequence[str] | None = None) -> dict[str, Any]:
    """The assistant message that would have been right, in the Chat Completions form: calls' arguments are JSON texts.

    Args:
        value: a text, or such a message, whose calls may hold their arguments as an object.
        field: where it stands, for messages.
        tools: names of the tools that the model was offered; None where that is not known.

    Raises:
        FeedbackError: 400 where it is no such message, 413 where it is too long.
    """
    message = {"content": value} if isinstance(value, str) else value
    if not isinstance(message, Mapping):
        raise _wrong(field, value, "a text, or an assistant message")
    for name in message:
        if name not in _MEMBERS:
            raise FeedbackError(400, f"{field}.{str(name)[:80]}: is unknown{near_match(str(name), _MEMBERS)}")
    if message.get("role", "assistant") != "assistant":
        raise _wrong(f"{field}.role", message["role"], "'assistant'")
    content, calls = message.get("content"), message.get("tool_calls") or []
    if content is not None and not isinstance(content, str):
        raise _wrong(f"{field}.content", content, "a text")
    if not isinstance(calls, list) or len(calls) > _MOST_CALLS:
        raise _wrong(f"{field}.tool_calls", calls, f"a list of at most {_MOST_CALLS} calls")
    if not calls and not (content or "").strip():
        raise FeedbackError(400, f"{field}: is empty, expected a text or a tool call")
    found: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        found["tool_calls"] = [_call(it, f"{field}.tool_calls[{n}]", n, tools) for n, it in enumerate(calls)]
    _not_too_long(found, field)
    return found


def offered(request: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Name → JSON Schema of the arguments, of the tools in a captured request; odd entries are passed over."""
    found = {}
    tools = request.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            parameters = function.get("parameters")
            found[function["name"]] = parameters if isinstance(parameters, Mapping) else {}
    return found


def same_answer(one: Mapping[str, Any], other: Mapping[str, Any] | None) -> bool:
    """Whether two assistant messages say and call the same; ids of calls and the spacing of JSON do not count."""
    return other is not None and _essence(one) == _essence(other)


def _essence(message: Mapping[str, Any]) -> tuple[str, list[tuple[Any, Any]]]:
    calls = message.get("tool_calls") or []
    essence = []
    for call in calls:
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            essence.append((function.get("name"), _loaded(function.get("arguments"))))
    return str(message.get("content") or "").strip(), essence


def _loaded(arguments: Any) -> Any:
    try:
        return orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        return arguments


def _call(call: Any, field: str, place: int, tools: Sequence[str] | None) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        raise _wrong(field, call, 'a call as {"function": {"name", "arguments"}}')
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(name, str) or not name:
        raise _wrong(f"{field}.function.name", name, "the name of a tool")
    if tools is not None and name not in tools:
        raise FeedbackError(
            400, f"{field}.function.name: no tool {name[:80]!r} was offered to the model{near_match(name, tools)}"
        )
    given = _loaded(arguments)
    if not isinstance(given, Mapping):
        raise _wrong(f"{field}.function.arguments", arguments, "a JSON object, or its text")
    try:
        written = orjson.dumps(given).decode()
    except (TypeError, orjson.JSONEncodeError):
        raise _wrong(f"{field}.function.arguments", "what JSON cannot hold", "a JSON object") from None
    id = call.get("id")
    return {
        "id": id[:128] if isinstance(id, str) and id else f"call-{place}",
        "type": "function",
        "function": {"name": name, "arguments": written},
    }


def _not_too_long(answer: Mapping[str, Any], field: str) -> None:
    try:
        size = len(orjson.dumps(answer))
    except (TypeError, orjson.JSONEncodeError):
        raise _wrong(field, "what UTF-8 cannot hold", "a text") from None
    if size > LONGEST_ANSWER:
        raise FeedbackError(413, f"{field}: takes {size:,} bytes, expected at most {LONGEST_ANSWER:,}")


def _wrong(field: str, found: Any, expected: str) -> FeedbackError:
    return FeedbackError(400, f"{field}: found {shown(found)}, expected {expected}")


def shown(value: Any) -> str:
    """A foreign value, short and inert, for a message."""
    return ascii(value)[:80] if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
