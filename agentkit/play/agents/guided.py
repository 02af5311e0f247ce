"""Tool calls from models that know none: every answer is constrained to one flat JSON object.

`{"action": "refund", "sale_id": "S-10432"}` is a tool call; `{"action": "reply", "text": "..."}` is an answer. A flat
object with the action first lets even a very small model choose a tool and then copy its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from agentkit.errors import ConfigError
from agentkit.records import Message, ToolCall, ToolSpec

ACTION, REPLY, TEXT = "action", "reply", "text"
_REPLY_LENGTH = 200
"""Characters a guided reply may have; a small model babbles to the end of whatever it is given."""
_TEXT_LENGTH = 80
"""Characters of a text argument that has no limit of its own."""


def response_format(tools: Sequence[ToolSpec]) -> dict[str, Any]:
    """The JSON Schema of one action, for the `response_format` of a request.

    Raises:
        ConfigError: a tool's name or argument collides with the words of this protocol.
    """
    reply = _action(REPLY, {TEXT: {"type": "string", "minLength": 1, "maxLength": _REPLY_LENGTH}})
    actions = [*(_tool_action(tool) for tool in tools), reply]
    definitions = {name: schema for tool in tools for name, schema in tool.parameters.get("$defs", {}).items()}
    schema = {"anyOf": actions} | ({"$defs": definitions} if definitions else {})
    return {"type": "json_schema", "json_schema": {"name": ACTION, "schema": schema, "strict": True}}


def _tool_action(tool: ToolSpec) -> dict[str, Any]:
    properties = tool.parameters.get("properties", {})
    if tool.name == REPLY or ACTION in properties:
        raise ConfigError(f"tool {tool.name}: a guided agent keeps the words {REPLY!r} and {ACTION!r} for itself")
    return _action(tool.name, properties)


def _action(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    bounded = {key: _bounded(schema) for key, schema in properties.items()}
    return {
        "type": "object",
        "properties": {ACTION: {"const": name}, **bounded},
        "required": [ACTION, *properties],
        "additionalProperties": False,
    }


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of one argument, without prose, and with a limit on free text."""
    bare = {key: value for key, value in schema.items() if key not in ("title", "description", "default", "examples")}
    if bare.get("type") == "string" and not bare.keys() & {"pattern", "enum", "const", "maxLength", "format"}:
        bare["maxLength"] = _TEXT_LENGTH
    return bare


def guided_instructions(system: str, tools: Sequence[ToolSpec]) -> str:
    """The system prompt, with the actions listed."""
    lines = [f"{tool.name}({', '.join(tool.parameters.get('properties', {}))}): {_first_line(tool)}" for tool in tools]
    actions = "\n".join([*lines, f"{REPLY}({TEXT}): Talk to the user."])
    return f"{system}\n\nAnswer each message with one action as a JSON object. Actions:\n{actions}"


def _first_line(tool: ToolSpec) -> str:
    return tool.description.partition("\n")[0]


def guided_messages(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation as a guided model sees it: its own moves as the JSON it wrote, results as plain messages."""
    return tuple(_as_action(message) for message in messages)


def _as_action(message: Message) -> Message:
    if message.role == "tool":
        return Message("user", f"Result of {message.name}: {message.content}", message.turn)
    if message.role != "assistant":
        return message
    if message.tool_calls:
        call = message.tool_calls[0]
        return replace(message, content=_json({ACTION: call.name, **(call.arguments or {})}), tool_calls=())
    return replace(message, content=_json({ACTION: REPLY, TEXT: message.content}))


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def read_guided(text: str, call_id: str) -> tuple[str, tuple[ToolCall, ...]]:
    """What the model did: an answer, or one tool call. Text that is no action is an answer as it stands."""
    try:
        action = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text, ()
    if not isinstance(action, dict) or not isinstance(name := action.pop(ACTION, None), str):
        return text, ()
    if name == REPLY:
        return str(action.get(TEXT, "")), ()
    return "", (ToolCall(call_id, name, action),)
