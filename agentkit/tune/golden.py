"""The golden move as the model itself would write it, in the dialect in which it is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentkit.grade.text import shortened
from agentkit.play.agents.guided import REPLY
from agentkit.records import Message, ToolCall, ToolSpec
from agentkit.scenario.detours import with_defaults
from agentkit.serve.command import SEPARATORS
from agentkit.tune.read import Dialect


def golden_text(move: Message, dialect: Dialect, tools: Mapping[str, ToolSpec]) -> str:
    """A move of the golden agent, one call or an answer, as text.

    Guided: one JSON action, spaced and ordered as the grammar writes it, all arguments stated. Hermes: the answer as it
    is, or the call in its tags.
    """
    call = move.tool_calls[0] if move.tool_calls else None
    if dialect == "guided":
        if call is None:
            return as_written({"action": REPLY, "arguments": {"text": move.content}})
        stated = with_defaults(tools.get(call.name), call.arguments or {})
        return as_written({"action": call.name, "arguments": _ordered(call, tools, stated)})
    if call is None:
        return move.content
    called = {"name": call.name, "arguments": _ordered(call, tools, call.arguments or {})}
    made = json.dumps(called, ensure_ascii=False)
    return f"<tool_call>\n{made}\n</tool_call>"


def misfit(text: str, schema: Mapping[str, Any] | None) -> str:
    """Why the grammar that answers are held to would not let this one pass, in words; '' where it does."""
    if schema is None:
        return ""
    from jsonschema import ValidationError
    from jsonschema.validators import Draft202012Validator

    try:
        Draft202012Validator(schema).validate(json.loads(text))
    except ValidationError as error:
        closest = error
        while closest.context:
            closest = min(closest.context, key=lambda it: (it.validator == "const", -len(it.absolute_path)))
        place = ".".join(map(str, closest.absolute_path))
        return f"{f'{place}: ' if place else ''}{shortened(closest.message, 160)}"
    return ""


def _ordered(call: ToolCall, tools: Mapping[str, ToolSpec], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """In the order of the tool's schema; what the schema does not know comes last."""
    spec = tools.get(call.name)
    known = list(spec.parameters.get("properties", {})) if spec else []
    return {name: arguments[name] for name in [*known, *arguments] if name in arguments}


def as_written(value: Any) -> str:
    """JSON in the spacing in which the server's grammar writes it."""
    return json.dumps(value, ensure_ascii=False, separators=SEPARATORS)
