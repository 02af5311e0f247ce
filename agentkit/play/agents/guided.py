"""Tool calls from models that know none: every answer is constrained to one JSON object.

`{"action": "refund", "arguments": {"sale_id": "S-10432"}}` is a tool call; the action `reply` is an answer, its `text`.
What tools gave is put at the end of the system prompt, and the history is shown as plain words: a small
model that sees its own JSON again copies it for ever, and one that reads results as facts uses them. Facts stand
behind the policy and the actions, which are the same in every conversation: a server reads those once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from agentkit.errors import ConfigError
from agentkit.records import Message, ToolCall, ToolSpec

REPLY = "reply"
_REPLY_LENGTH = 200
"""Characters a guided reply may have; a small model babbles to the end of whatever it is given."""
_TEXT_LENGTH = 80
"""Characters of a text argument that has no limit of its own."""


def response_format(tools: Sequence[ToolSpec]) -> dict[str, Any]:
    """The JSON Schema of one action, for the `response_format` of a request.

    Raises:
        ConfigError: a tool has the name that stands for an answer.
    """
    if any(tool.name == REPLY for tool in tools):
        raise ConfigError(f"a guided agent keeps the name {REPLY!r} for its answers; rename the tool")
    text = {"type": "string", "minLength": 1, "maxLength": _REPLY_LENGTH}
    actions = [_action(tool.name, tool.parameters.get("properties", {})) for tool in tools]
    actions.append(_action(REPLY, {"text": text}))
    definitions = {name: schema for tool in tools for name, schema in tool.parameters.get("$defs", {}).items()}
    schema = {"anyOf": actions} | ({"$defs": definitions} if definitions else {})
    return {"type": "json_schema", "json_schema": {"name": "action", "schema": schema, "strict": True}}


def _action(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    bounded = {key: _bounded(schema) for key, schema in arguments.items()}
    return _object({"action": {"const": name}, "arguments": _object(bounded)})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of one argument, without prose, and with a limit on free text."""
    bare = {key: value for key, value in schema.items() if key not in ("title", "description", "default", "examples")}
    if bare.get("type") == "string" and not bare.keys() & {"pattern", "enum", "const", "maxLength", "format"}:
        bare["maxLength"] = _TEXT_LENGTH
    return bare


def guided_messages(system: str, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Message, ...]:
    """The prompt: the system's words, the list of actions if there are any, what is known; then what was said."""
    parts = [system]
    if tools:
        parts += ["Answer each message with one action as JSON.\nActions:", *map(_action_line, tools)]
        parts.append(f"{REPLY}(text): talk to the user")
    known = [message.content for message in messages if message.role == "tool"]
    if known:
        parts.append("Known: " + "\n".join(known))
    prompt = Message("system", "\n".join(part for part in parts if part), turn=-1)
    said = [replace(m, tool_calls=()) for m in messages if m.role == "user" or (m.role == "assistant" and m.content)]
    return prompt, *said


def _action_line(tool: ToolSpec) -> str:
    return f"{tool.name}({', '.join(tool.parameters.get('properties', {}))}): {tool.description.partition(chr(10))[0]}"


def read_guided(text: str, call_id: str) -> tuple[str, tuple[ToolCall, ...]]:
    """What the model did: an answer, or one tool call. Text that is no action is an answer as it stands."""
    try:
        match orjson.loads(text):
            case {"action": "reply", "arguments": {"text": str(answer)}}:
                return answer, ()
            case {"action": str(name), "arguments": dict(arguments)}:
                return "", (ToolCall(call_id, name, arguments),)
    except orjson.JSONDecodeError:
        pass
    return text, ()
