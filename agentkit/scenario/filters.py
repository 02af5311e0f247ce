"""The filters that templates may use, and the arithmetic they do: decimal, so that 3 × 19.99 is 59.97."""

from __future__ import annotations

import datetime
import operator
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Any

import orjson

MAX_TEXT = 100_000
"""Characters of one rendered text."""

_LARGEST = Decimal("1e300")
_DATE_FORMAT = re.compile(r"(?:[^%]|%-?[aAbBdmyYjHIMSpUW%])*")


class RenderError(ValueError):
    """A template cannot be rendered with these values; the message says why."""


def as_text(value: Any) -> str:
    """A value inside a longer text: text and numbers as they are, nothing as '', the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value).decode()


def number(value: Any) -> int | float:
    """A number as it is; a text that holds only a number as that number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    try:
        read = Decimal(value) if isinstance(value, str) else Decimal("nan")
    except InvalidOperation:
        read = Decimal("nan")
    if not read.is_finite():
        raise RenderError(f"a number is expected, found {value!r}")
    whole = isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d{1,18}\s*", value)
    return int(read) if whole else float(read)


def _decimal(value: Any) -> Decimal:
    return Decimal(str(number(value)))


def arithmetic(sign: str, left: Any, right: Any) -> int | float:
    """`+ - * / // %` of two numbers, exact to 28 decimal digits; whole numbers stay whole but for `/`."""
    if isinstance(left, str) or isinstance(right, str):
        raise RenderError(f"`{sign}` is for numbers; join texts by `~`, read a number from a text by `| number`")
    both_whole = isinstance(number(left), int) and isinstance(number(right), int)
    try:
        with localcontext() as context:
            context.traps[Overflow] = True
            result = _SIGNS[sign](_decimal(left), _decimal(right))
    except DivisionByZero:
        raise RenderError("division by zero") from None
    except (InvalidOperation, Overflow):
        raise RenderError(f"{left!r} {sign} {right!r} has no value") from None
    if both_whole and sign != "/":
        if abs(result) >= 2**63:
            raise RenderError("the number is too large")
        return int(result)
    if abs(result) > _LARGEST:
        raise RenderError("the number is too large")
    return float(result)


def _floor(left: Decimal, right: Decimal) -> Decimal:
    return (left / right).to_integral_value(rounding="ROUND_FLOOR")


_SIGNS: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": _floor,
    "%": lambda left, right: left - right * _floor(left, right),
}


def _rounded(value: Any, places: int) -> Decimal:
    if not 0 <= places <= 12:
        raise RenderError("places are from 0 to 12")
    return _decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def money(value: Any, symbol: str = "") -> str:
    """`12.5 | money('$')` is `$12.50`: two decimals, halves rounded up, no thousands separators."""
    amount = _rounded(value, 2)
    return f"{'-' if amount < 0 else ''}{symbol}{abs(amount)}"


def round_number(value: Any, places: int = 0) -> int | float:
    """Rounded to `places`, halves up; a whole number where `places` is 0."""
    return float(_rounded(value, places)) if places else int(_rounded(value, 0))


def _day(value: Any) -> datetime.date:
    try:
        return datetime.date.fromisoformat(as_text(value)[:10])
    except ValueError:
        raise RenderError(f"a date such as 2026-03-01 is expected, found {value!r}") from None


def date(value: Any, format: str = "%Y-%m-%d") -> str:
    """An ISO 8601 date in another form: `'2026-03-01' | date('%d %B %Y')` is `01 March 2026`; `%-d` drops the zero."""
    if not _DATE_FORMAT.fullmatch(format):
        raise RenderError(f"{format!r} is no date format; use letters such as %d %B %Y")
    return _day(value).strftime(format)


def days(value: Any, count: int) -> str:
    """A date so many days later, or earlier where `count` is negative."""
    try:
        return (_day(value) + datetime.timedelta(days=count)).isoformat()
    except OverflowError:
        raise RenderError(f"{value!r} cannot be moved by {count} days") from None


def join(value: Any, separator: str = ", ") -> str:
    if not isinstance(value, list):
        raise RenderError(f"a list is expected, found {value!r}")
    return separator.join(as_text(item) for item in value)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "date": date,
    "days": days,
    "join": join,
    "lower": lambda value: as_text(value).lower(),
    "money": money,
    "number": number,
    "round": round_number,
    "title": lambda value: as_text(value).title(),
    "upper": lambda value: as_text(value).upper(),
}
