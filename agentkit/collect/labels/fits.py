"""Whether a better answer is one that the model could have given: arguments as the tool takes them, the format that was
demanded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from agentkit.collect.feedback.answer import offered


def misfit(answer: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """In words, what does not fit; '' where all does. A schema that is none holds nothing back."""
    tools = offered(request)
    for call in answer.get("tool_calls", ()):
        name = call["function"]["name"]
        if problem := _broken(orjson.loads(call["function"]["arguments"]), tools.get(name, {})):
            return f"arguments of {name}: {problem}"
    schema = _demanded(request)
    if schema is None or answer.get("tool_calls"):
        return ""
    try:
        value = orjson.loads(answer.get("content") or "")
    except orjson.JSONDecodeError as error:
        return f"the caller demands JSON here: {error}"
    return _broken(value, schema)


def _demanded(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    form = request.get("response_format")
    if not isinstance(form, Mapping):
        return None
    inner = form.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    if isinstance(schema, Mapping):
        return schema
    return {} if form.get("type") in ("json_object", "json_schema") else None


def _broken(value: Any, schema: Mapping[str, Any]) -> str:
    """What is wrong with a value; '' where the schema itself is none. It is foreign: no address in it is followed, and
    no pattern of it is searched for, since one may take for ever."""
    from jsonschema import SchemaError
    from jsonschema.exceptions import best_match
    from jsonschema.validators import Draft202012Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    tame = _without_patterns(schema)
    try:
        Draft202012Validator.check_schema(tame)
        found = best_match(Draft202012Validator(tame, registry=Registry()).iter_errors(value))
    except (SchemaError, Unresolvable, RecursionError, TypeError):
        return ""
    if found is None:
        return ""
    place = ".".join(map(str, found.absolute_path))
    return f"{place}: {found.message}"[:300] if place else found.message[:300]


def _without_patterns(schema: Any, *, names: bool = False) -> Any:
    """A copy of a schema; `names`: the members are names of properties, and one may be called `pattern`."""
    if isinstance(schema, list):
        return [_without_patterns(it) for it in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: _without_patterns(it, names=not names and name in ("properties", "$defs", "definitions"))
        for name, it in schema.items()
        if names or name not in ("pattern", "patternProperties", "format")
    }
