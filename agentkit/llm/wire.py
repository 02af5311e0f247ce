"""OpenAI's chat completions on the wire: the only place that knows the field names.

Encoding is strict, decoding is tolerant of what the many compatible servers do differently; what cannot be
understood raises `Malformed`, and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from agentkit.errors import UsageError
from agentkit.llm.arguments import parse_arguments
from agentkit.llm.chat import ChatRequest
from agentkit.records import Message, ToolCall, ToolSpec, Usage

_OURS = ("messages", "model", "n", "stream")
_MODES = ("auto", "none", "required")


class Malformed(Exception):
    """The answer is no chat completion; the message names the field, what was found and what was expected."""

    usage: Usage | None = None
    """What the provider counted nevertheless, and bills; None where it counted nothing."""
    counted: bool = False
    """Whether it counted both input and output tokens."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded chat completion."""

    content: str
    reasoning: str | None
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str | None
    """The provider's word, or `refusal` where the model refused in the field meant for it."""
    response_id: str | None
    model: str | None
    usage: Usage
    counted: bool
    """Whether the provider counted both input and output tokens."""


def encode(request: ChatRequest, model: str) -> dict[str, Any]:
    """The body of `request`. Raises UsageError for an `extra_body` that would change what an answer is."""
    for key in _OURS:
        if key in request.extra_body:
            raise UsageError(f"extra_body: {key!r} cannot be set here; it belongs to the client")
    settings = {
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _tool_choice(request.tool_choice),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "stop": request.stop,
        "response_format": request.response_format,
    }
    body: dict[str, Any] = {"model": model, "messages": [_message(message) for message in request.messages]}
    body |= {key: value for key, value in settings.items() if value is not None}
    return body | dict(request.extra_body)


def dump(body: Mapping[str, Any]) -> bytes:
    """`body` as JSON. Raises UsageError."""
    try:
        return orjson.dumps(body, default=_plain)
    except orjson.JSONEncodeError as error:
        raise UsageError(f"the request to the model cannot be written as JSON: {error}") from error


def decode(body: bytes, request: ChatRequest) -> Answer:
    """Read a chat completion. Raises Malformed.

    `request` is needed to make up ids for calls that came without one, unlike any in the conversation so far.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        begins = body[:60].decode(errors="replace")
        raise Malformed(f"the answer is not JSON ({error}); it begins {begins!r}") from None
    completion = _object(data, "the answer")
    usage, counted = usage_of(completion.get("usage"))
    try:
        return _answer(completion, request, usage, counted)
    except Malformed as error:
        error.usage, error.counted = usage if counted or usage.total else None, counted
        raise


def error_message(body: bytes) -> str:
    """What the server says went wrong: the text in its JSON, else the body as it is."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace").strip()
    return _said(data)


def usage_of(usage: object) -> tuple[Usage, bool]:
    """The tokens of an answer's `usage`, 0 where it has none, and whether both input and output were counted.

    What the total holds beyond the two is output: some providers count reasoning there alone.
    """
    if not isinstance(usage, Mapping):
        return Usage(), False
    sent, got, total = (_count(usage, f"{name}_tokens") for name in ("prompt", "completion", "total"))
    if sent is not None and total is not None and total >= sent:
        got = max(got or 0, total - sent)
    counts = Usage(
        input_tokens=sent or 0,
        output_tokens=got or 0,
        reasoning_tokens=_count(usage.get("completion_tokens_details"), "reasoning_tokens") or 0,
        cached_tokens=_count(usage.get("prompt_tokens_details"), "cached_tokens") or 0,
    )
    return counts, sent is not None and got is not None


def _answer(completion: Mapping[str, Any], request: ChatRequest, usage: Usage, counted: bool) -> Answer:
    choices = completion.get("choices")
    if not choices and completion.get("error"):
        raise Malformed(f"an error in the place of an answer: {_said(completion)}")
    if not isinstance(choices, list) or not choices:
        raise Malformed(f"choices: found {_kind(choices)}, expected a list of at least one choice")
    choice = _object(choices[0], "choices[0]")
    if choice.get("error"):
        raise Malformed(f"an error in the place of an answer: {_said(choice)}")
    if choice.get("finish_reason") == "error":
        raise Malformed("choices[0].finish_reason: found 'error': the provider failed before the answer's end")
    message = _object(choice.get("message"), "choices[0].message")
    content, thoughts = _content(message.get("content"))
    refusal = _text(message.get("refusal"))
    return Answer(
        content=content or refusal or "",
        reasoning=_text(message.get("reasoning")) or _text(message.get("reasoning_content")) or thoughts,
        tool_calls=_tool_calls(message, request),
        finish_reason="refusal" if refusal else _text(choice.get("finish_reason")),
        response_id=_text(completion.get("id")),
        model=_text(completion.get("model")),
        usage=usage,
        counted=counted,
    )


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _tool_choice(choice: str | None) -> object:
    if choice is None or choice in _MODES:
        return choice
    return {"type": "function", "function": {"name": choice}}


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.content}
    if not message.tool_calls:
        return {"role": message.role, "content": message.content}
    calls = [
        # Arguments that were no JSON go back as an empty object: servers parse the whole history to fill the
        # chat template and reject it otherwise. The tool message that follows tells the model what was wrong.
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": dump(call.arguments or {}).decode()},
        }
        for call in message.tool_calls
    ]
    return {"role": message.role, "content": message.content or None, "tool_calls": calls}


def _content(content: object) -> tuple[str, str | None]:
    """Text and thoughts of a message's content, which is a string, null, or a list of parts."""
    if content is None:
        return "", None
    if isinstance(content, str):
        return content, None
    if not isinstance(content, list):
        raise Malformed(f"choices[0].message.content: found {_kind(content)}, expected text or parts")
    text: list[str] = []
    thoughts: list[str] = []
    for index, entry in enumerate(content):
        part = _object(entry, f"choices[0].message.content[{index}]")
        inner = part.get("text") or part.get("refusal") or part.get("thinking")
        if isinstance(inner, list):
            inner = _content(inner)[0]
        if isinstance(inner, str):
            (thoughts if part.get("type") in ("thinking", "reasoning") else text).append(inner)
    return "".join(text), "".join(thoughts) or None


def _tool_calls(message: Mapping[str, Any], request: ChatRequest) -> tuple[ToolCall, ...]:
    entries = message.get("tool_calls") or []
    if not isinstance(entries, list):
        raise Malformed(f"choices[0].message.tool_calls: found {_kind(entries)}, expected a list")
    if not entries and message.get("function_call"):
        entries = [{"function": message["function_call"]}]
    taken = {call.id for earlier in request.messages for call in earlier.tool_calls}
    calls: list[ToolCall] = []
    for index, entry in enumerate(entries):
        where = f"choices[0].message.tool_calls[{index}]"
        call = _object(entry, where)
        function = _object(call.get("function"), f"{where}.function")
        name = function.get("name")
        if not isinstance(name, str) or not name:
            raise Malformed(f"{where}.function.name: found {_kind(name)}, expected the name of a tool")
        identity = call.get("id")
        if not isinstance(identity, str) or not identity or identity in taken:
            identity = f"call_{len(request.messages)}_{index}"
        taken.add(identity)
        arguments, raw = parse_arguments(function.get("arguments"))
        calls.append(ToolCall(identity, name, arguments, raw))
    return tuple(calls)


def _count(counts: object, key: str) -> int | None:
    value = counts.get(key) if isinstance(counts, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _said(data: object) -> str:
    """The words of an error in parsed JSON."""
    error = data.get("error", data) if isinstance(data, dict) else data
    for key in ("message", "detail"):
        if isinstance(error, dict) and error.get(key):
            error = error[key]
    return error if isinstance(error, str) else orjson.dumps(error).decode()


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Malformed(f"{where}: found {_kind(value)}, expected an object")
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _kind(value: object) -> str:
    """What `value` is, in the words of JSON."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return "an empty list" if not value else "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {str: "a string", int: "a number", float: "a number", dict: "an object"}
    return "an empty string" if value == "" else names[type(value)]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")
