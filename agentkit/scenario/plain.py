"""Plain JSON from whatever a tool returns or a state holds."""

from __future__ import annotations

import decimal
from typing import Any

import orjson
from pydantic import BaseModel

_OPTIONS = orjson.OPT_NON_STR_KEYS


def dumps(value: Any) -> bytes:
    """JSON of plain values, dataclasses, pydantic models, dates, enums, decimals and sets; not-a-number becomes null.

    Raises TypeError for anything else.
    """
    return orjson.dumps(value, default=_default, option=_OPTIONS)


def plain(value: Any) -> Any:
    """A copy of a value that holds JSON's types alone, and shares nothing with it."""
    return orjson.loads(dumps(value))


def _default(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda item: (str(type(item)), str(item)))
    raise TypeError(f"a {type(value).__qualname__} is no JSON value")
