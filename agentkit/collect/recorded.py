"""Tools that answer as they did in production: the world of drafts that belong to no suite yet."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema


def recorded_tools(tools: Sequence[Mapping[str, Any]]) -> list[Callable[..., Any]]:
    """A function for each tool (`name`, `description`, `parameters`), which looks its answer up in the state:
    `answers` holds `tool`, `arguments` and `answer` in the order in which they were given.

    A call that was never made so raises LookupError, as a tool does that knows nothing of what it is asked.
    """
    return [_tool(it) for it in tools]


def can_be_recorded(tool: Mapping[str, Any]) -> bool:
    """Whether a tool's name and its arguments' can be a Python function's."""
    names = [tool.get("name"), *_properties(tool)]
    return all(isinstance(it, str) and it.isidentifier() and not keyword.iskeyword(it) for it in names)


def _tool(tool: Mapping[str, Any]) -> Callable[..., Any]:
    name = str(tool["name"])
    required = tool.get("parameters", {}).get("required") or ()

    def answer(state: dict[str, Any], **arguments: Any) -> Any:
        given = _plain(arguments)
        fitting = [it for it in state["answers"] if it["tool"] == name and _plain(it["arguments"]) == given]
        if not fitting:
            raise LookupError(f"No answer of {name} to these arguments is recorded.")
        if len(fitting) > 1:  # the same question again may have had another answer
            state["answers"].remove(fitting[0])
        return fitting[0]["answer"]

    parameters = [inspect.Parameter("state", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    annotations: dict[str, Any] = {"return": Any}
    properties = _properties(tool)
    for key in sorted(properties, key=lambda it: it not in required):
        default = inspect.Parameter.empty if key in required else None
        parameters.append(inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default))
        annotations[key] = _annotation(properties[key])
    answer.__name__ = answer.__qualname__ = name
    answer.__doc__ = " ".join(str(tool.get("description") or "").split()) or name
    answer.__annotations__ = annotations
    answer.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return answer


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if value is not None}


def _properties(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = tool.get("parameters")
    found = parameters.get("properties") if isinstance(parameters, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _annotation(schema: Any) -> Any:
    """Any value; what a model reads of the argument is what it read in production."""
    if not isinstance(schema, Mapping) or "$ref" in str(schema):
        return Any
    described = schema.get("description")
    field = [Field(description=described)] if isinstance(described, str) else []
    return Annotated[(Any, WithJsonSchema(dict(schema)), *field)]
