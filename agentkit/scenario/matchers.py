"""What an expected value may be: a plain value (exact), or one operator in a mapping (`{pattern: "S-[0-9]+"}`).

These are only the forms. `agentkit.grade.match` decides whether a value fits one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    Tag,
    ValidationInfo,
    field_validator,
)

from agentkit.errors import near_match
from agentkit.scenario.expressions import TemplateError
from agentkit.scenario.patterns import complaint
from agentkit.scenario.template import is_template, regex_sample

RENDERED = {"rendered": True}
"""Validation context of values whose templates are filled in: what looks like a template now is only text."""


def _waits(value: Any, info: ValidationInfo) -> bool:
    """Whether a value is a template that is still to be filled in."""
    return isinstance(value, str) and is_template(value) and info.context is not RENDERED


def _can_match(pattern: str, info: ValidationInfo) -> str:
    if info.context is RENDERED:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a valid regular expression: {error.msg}") from None
        return pattern
    try:
        said = complaint(regex_sample(pattern))
    except TemplateError:
        return pattern  # told where templates are checked
    if said:
        raise ValueError(said)
    return pattern


Regex = Annotated[str, AfterValidator(_can_match)]
"""A regular expression (template); what is filled in stands for itself."""


class Operator(BaseModel):
    """Base of the operators; frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Equals(Operator):
    """Exactly this JSON value. A plain value is short for it; a mapping must be written with it."""

    equals: Any


class Pattern(Operator):
    """The whole text matches this regular expression (template)."""

    pattern: Regex


class Number(Operator):
    """A number within `tolerance` of `number`; a text that holds only a number counts as that number."""

    number: StrictFloat | str
    """A template must render to a number."""
    tolerance: Annotated[StrictFloat, Field(ge=0)] = 0.0
    """Absolute."""

    @field_validator("number")
    @classmethod
    def _is_number(cls, number: float | str, info: ValidationInfo) -> float | str:
        if not isinstance(number, str) or _waits(number, info):
            return number
        try:
            return float(number)
        except ValueError:
            raise ValueError(f"a number is expected, found {number!r}") from None


class SetOf(Operator):
    """A list with these elements in any order."""

    set: list[Any]


class Subset(Operator):
    """A mapping that has at least these keys with these values, or a list that holds at least these elements."""

    subset: dict[str, Any] | list[Any]


class Date(Operator):
    """The same day, however it is written (`2026-03-01`, `1 March 2026`, `01/03/2026` where only one reading fits)."""

    date: str
    """ISO 8601, or a template that renders to it."""

    @field_validator("date")
    @classmethod
    def _is_date(cls, day: str, info: ValidationInfo) -> str:
        if not _waits(day, info):
            try:
                datetime.date.fromisoformat(day)
            except ValueError:
                raise ValueError(f"a date such as 2026-03-01 is expected, found {day!r}") from None
        return day


class OneOf(Operator):
    """Equal to one of these."""

    one_of: list[Any]


class Mentions(Operator):
    """A text in which each of these occurs, regardless of case and spacing."""

    mentions: list[Any]


class Anything(Operator):
    """Any value, as long as there is one."""

    any: Literal[True]


class Absent(Operator):
    """No value at all: the argument is not given, the path does not exist."""

    absent: Literal[True]


OPERATORS: dict[str, type[Operator]] = {
    "equals": Equals,
    "pattern": Pattern,
    "number": Number,
    "set": SetOf,
    "subset": Subset,
    "date": Date,
    "one_of": OneOf,
    "mentions": Mentions,
    "any": Anything,
    "absent": Absent,
}


def _spell_out(value: Any) -> Any:
    """A plain value becomes `{equals: value}`; a mapping must already hold an operator."""
    if isinstance(value, Operator):
        return value
    if not isinstance(value, Mapping):
        return {"equals": value}
    if not any(key in OPERATORS for key in value):
        found = next((key for key in value if isinstance(key, str)), "")
        raise ValueError(
            f"a mapping here must hold one operator, found {sorted(map(str, value))}{near_match(found, OPERATORS)}; "
            "write `equals: {...}` to expect the mapping itself"
        )
    return value


def _operator_of(value: Any) -> str | None:
    if isinstance(value, Operator):
        return next(key for key, kind in OPERATORS.items() if isinstance(value, kind))
    return next((key for key in OPERATORS if key in value), None)


_Operators = Equals | Pattern | Number | SetOf | Subset | Date | OneOf | Mentions | Anything | Absent

Matcher = Annotated[
    Annotated[Equals, Tag("equals")]
    | Annotated[Pattern, Tag("pattern")]
    | Annotated[Number, Tag("number")]
    | Annotated[SetOf, Tag("set")]
    | Annotated[Subset, Tag("subset")]
    | Annotated[Date, Tag("date")]
    | Annotated[OneOf, Tag("one_of")]
    | Annotated[Mentions, Tag("mentions")]
    | Annotated[Anything, Tag("any")]
    | Annotated[Absent, Tag("absent")],
    Discriminator(_operator_of),
    BeforeValidator(_spell_out, json_schema_input_type=_Operators | str | int | float | bool | list[Any] | None),
]

Mention = str | StrictInt | StrictFloat | list[str | StrictInt | StrictFloat]
"""A text or number that must occur; a list holds alternatives."""
