"""A tool from a plain typed Python function: its schema from the signature, its description from the docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints, overload

import orjson
from pydantic import ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema

from agentkit.errors import near_match
from agentkit.records import ToolSpec
from agentkit.scenario.plain import plain

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "__agentkit_writes__"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@overload
def tool(function: Function, /) -> Function: ...
@overload
def tool(*, writes: bool = True) -> Callable[[Function], Function]: ...
def tool(function: Any = None, /, *, writes: bool = True) -> Any:
    """Says of a tool what its signature cannot: `@tool(writes=False)` marks one that never changes the state.

    Functions without it are tools that may write.
    """

    def mark(marked: Function) -> Function:
        setattr(marked, _MARK, writes)
        return marked

    return mark if function is None else mark(function)


class ArgumentsError(ValueError):
    """Arguments that do not fit a tool; the message is meant for the agent."""


class _Schema(GenerateJsonSchema):
    """JSON Schema without titles: a model reads every word of it."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Tool:
    """A function ready to be called by an agent."""

    spec: ToolSpec
    function: Callable[..., Any]
    is_async: bool
    defaults: Mapping[str, Any]
    """Plain JSON."""
    required: frozenset[str]
    _model: Any
    _names: Mapping[str, str]
    """The model's field → the argument: a field may not be called `copy` or `schema`, an argument may."""

    def parse(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as the function takes them, strictly as JSON types. Raises ArgumentsError."""
        try:
            found = self._model.__pydantic_validator__.validate_json(orjson.dumps(arguments), strict=True)
        except ValidationError as error:
            raise ArgumentsError(self._explain(error)) from None
        except TypeError as error:
            raise ArgumentsError(f"the arguments are no JSON: {error}") from None
        return {name: getattr(found, field) for field, name in self._names.items()}

    def complaint(self, name: str, value: Any) -> str | None:
        """Why no valid call can give this value for an argument, in words; None where one can."""
        try:
            self._model.__pydantic_validator__.validate_json(orjson.dumps({name: value}), strict=True)
        except ValidationError as error:
            own = [mistake for mistake in error.errors(include_url=False) if mistake["loc"][0] == name]
            return own[0]["msg"] if own else None
        except TypeError as error:
            return f"it is no JSON: {error}"
        return None

    def normalized(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with the defaults of those that are not given."""
        return {**self.defaults, **arguments}

    def _explain(self, error: ValidationError) -> str:
        said = []
        for mistake in error.errors(include_url=False, include_context=False):
            name = ".".join(map(str, mistake["loc"]))
            match mistake["type"]:
                case "missing":
                    said.append(f"{name}: required, and not given")
                case "extra_forbidden":
                    said.append(f"{name}: no such argument{near_match(name, self._names.values())}")
                case _:
                    shown = repr(mistake["input"])
                    shown = shown if len(shown) <= 80 else shown[:79] + "…"
                    said.append(f"{name}: {mistake['msg']}, found {shown}")
        return "; ".join(said)


def build_tool(function: Callable[..., Any]) -> Tool:
    """Raises ValueError, with the reason in words, where a function cannot be a tool."""
    name = getattr(function, "__name__", "")
    if not callable(function) or not _NAME.fullmatch(name):
        raise ValueError(f"a tool is a named function, found {function!r}")
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        raise ValueError("a tool's first parameter is the state, and it has none")
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        raise ValueError(f"its type hints cannot be read: {error}") from None
    about, described = parse_docstring(inspect.getdoc(function) or "")
    described.pop(parameters[0].name, None)
    for parameter in parameters[1:]:
        _check(parameter, hints)
    names = {f"argument_{index}": parameter.name for index, parameter in enumerate(parameters[1:])}
    unknown = sorted(described.keys() - names.values())
    if unknown:
        raise ValueError(f"its docstring describes {unknown[0]!r}, no argument{near_match(unknown[0], names.values())}")
    fields: dict[str, Any] = {
        field: (hints[parameter.name], _field(parameter, described.get(parameter.name)))
        for field, parameter in zip(names, parameters[1:], strict=True)
    }
    try:
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema(schema_generator=_Schema)
        optional = {names[field]: info for field, info in model.model_fields.items() if not info.is_required()}
        defaults = {key: plain(info.get_default(call_default_factory=True)) for key, info in optional.items()}
    except (PydanticUserError, TypeError, ValueError, NameError) as error:
        raise ValueError(f"no JSON Schema for its arguments: {str(error).splitlines()[0]}") from None
    schema.pop("title", None)
    schema.setdefault("properties", {})
    return Tool(
        spec=ToolSpec(name, about, schema, writes=getattr(function, _MARK, True)),
        function=function,
        is_async=inspect.iscoroutinefunction(function),
        defaults=defaults,
        required=frozenset(names.values()) - defaults.keys(),
        _model=model,
        _names=names,
    )


def _check(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> None:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise ValueError(f"the parameter {parameter.name!r} must be an ordinary one, callable by name")
    if parameter.name not in hints:
        raise ValueError(f"the parameter {parameter.name!r} has no type")


def _field(parameter: inspect.Parameter, description: str | None) -> Any:
    given: dict[str, Any] = {"alias": parameter.name}
    if description:
        given["description"] = description
    if parameter.default is not parameter.empty:
        given["default"] = parameter.default
    return Field(**given)


_SECTION = re.compile(r"(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?):\s*")
_ARGUMENT = re.compile(r"(\w+)(?: *\([^)]*\))?: *(.*)")


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description, and that of each argument, of a docstring with a Google-style `Args:` section."""
    about: list[str] = []
    described: dict[str, str] = {}
    section, current, margin = "", "", 0
    for line in text.splitlines():
        heading = _SECTION.fullmatch(line)
        indent = len(line) - len(line.lstrip())
        if heading:
            section, current, margin = heading[1], "", 0
        elif not section:
            about.append(line)
        elif section in ("Args", "Arguments", "Parameters") and line.strip():
            margin = margin or indent
            argument = _ARGUMENT.fullmatch(line.strip()) if indent <= margin else None
            if argument:
                current = argument[1]
                described[current] = argument[2].strip()
            elif current:
                described[current] = f"{described[current]} {line.strip()}".strip()
    return " ".join("\n".join(about).split()), described
