"""Messages in the form of the GenAI conventions, and the user's word on whether to record them at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import orjson

from agentkit.errors import ConfigError, near_match
from agentkit.records import Message, ToolCall, ToolSpec
from agentkit.tracing import attributes as names

CAPTURE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

LONGEST_TEXT = 65_536
"""Characters of one text that a trace keeps; the store has the whole of it."""

LONGEST_NAME = 200
"""Characters of a name; a model can ask for a tool of any name at all."""


class Capture(StrEnum):
    """Where the words of a conversation are recorded."""

    NO_CONTENT = "NO_CONTENT"
    SPAN_ONLY = "SPAN_ONLY"
    EVENT_ONLY = "EVENT_ONLY"
    SPAN_AND_EVENT = "SPAN_AND_EVENT"

    @property
    def on_spans(self) -> bool:
        return self in (Capture.SPAN_ONLY, Capture.SPAN_AND_EVENT)

    @property
    def on_events(self) -> bool:
        return self in (Capture.EVENT_ONLY, Capture.SPAN_AND_EVENT)

    @property
    def anywhere(self) -> bool:
        return self is not Capture.NO_CONTENT

    @classmethod
    def from_environment(cls) -> Capture:
        """What `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` says; unset means SPAN_ONLY.

        Raises `ConfigError` where it says something else.
        """
        found = os.environ.get(CAPTURE_VARIABLE, "").strip()
        if not found:
            return cls.SPAN_ONLY
        try:
            return cls(found.upper())
        except ValueError:
            expected = ", ".join(cls)
            raise ConfigError(
                f"{CAPTURE_VARIABLE}: {found!r} is none of {expected}{near_match(found.upper(), map(str, cls))}"
            ) from None


def message_parts(message: Message) -> list[dict[str, Any]]:
    """The parts of one message: `text`, `reasoning`, `tool_call`, `tool_call_response`."""
    if message.role == "tool":
        response = text(message.content)
        return [{"type": "tool_call_response", "id": message.tool_call_id, "response": response}]
    parts: list[dict[str, Any]] = []
    if message.reasoning:
        parts.append({"type": "reasoning", "content": text(message.reasoning)})
    if message.content:
        parts.append({"type": "text", "content": text(message.content)})
    for call in message.tool_calls:
        parts.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": _arguments(call)})
    return parts


def _arguments(call: ToolCall) -> Mapping[str, Any] | str | None:
    return call.raw if call.arguments is None else call.arguments


def input_message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": message_parts(message)}


def output_message(message: Message) -> dict[str, Any]:
    """As `input_message`, with the `finish_reason` that the conventions require of an output."""
    stated = message.call.finish_reason if message.call else None
    reason = stated or ("tool_call" if message.tool_calls else "stop")
    # OpenAI's endpoints say it in the plural, the conventions in the singular.
    return {**input_message(message), "finish_reason": "tool_call" if reason == "tool_calls" else reason}


def system_parts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [part for m in messages if m.role == "system" for part in message_parts(m)]


def output_attributes(message: Message) -> dict[str, str]:
    """An answer, and for lists and previews its words, else the calls that it asks for."""
    calls = [{"name": call.name, "arguments": _arguments(call)} for call in message.tool_calls]
    worded = bool(message.content) or not calls
    return {
        names.OUTPUT_MESSAGES: to_json([output_message(message)]),
        names.OUTPUT_VALUE: text(message.content) if worded else to_json(calls),
        names.OUTPUT_MIME_TYPE: "text/plain" if worded else "application/json",
    }


def tool_definition(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }


class JsonCache:
    """The JSON of messages and tool definitions, each made once although every later request repeats it.

    Lives as long as one trial and holds what it has seen, so that an object's identity is a safe key.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, str]] = {}

    def inputs(self, messages: Sequence[Message]) -> str:
        return f"[{','.join([self._message(m) for m in messages if m.role != 'system'])}]"

    def system(self, messages: Sequence[Message]) -> str | None:
        """The system prompt as `gen_ai.system_instructions` wants it; None where there is none."""
        found = system_parts(messages)
        return to_json(found) if found else None

    def tools(self, tools: Sequence[ToolSpec]) -> str:
        return f"[{','.join([self._tool(tool) for tool in tools])}]"

    def _message(self, message: Message) -> str:
        known = self._known.get(id(message))
        if known is None:
            known = self._known[id(message)] = (message, to_json(input_message(message)))
        return known[1]

    def _tool(self, tool: ToolSpec) -> str:
        known = self._known.get(id(tool))
        if known is None:
            known = self._known[id(tool)] = (tool, to_json(tool_definition(tool)))
        return known[1]


def to_json(value: Any) -> str:
    """Compact JSON, whatever a model or a tool has put into `value`; never raises."""
    try:
        return orjson.dumps(value, default=_plain).decode()
    except (TypeError, RecursionError):
        pass
    try:
        return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return json.dumps(f"<{type(value).__name__} that JSON cannot hold>")


def plain(value: Any) -> Any:
    """`value` as JSON would give it back: fit to be sent in structured form."""
    return orjson.loads(to_json(value))


def text(value: str, longest: int = LONGEST_TEXT) -> str:
    """`value` cut to `longest` characters and free of lone surrogates, which no trace can carry."""
    if len(value) > longest:
        value = f"{value[:longest]}… [{len(value) - longest} characters more]"
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()


def name(value: str) -> str:
    return text(value, LONGEST_NAME)


def _plain(value: Any) -> Any:
    """The JSON value nearest to `value`; what JSON has no form for becomes its text."""
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [_plain(item) for item in value]
    return text(str(value))
