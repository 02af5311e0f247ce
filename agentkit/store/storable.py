"""Values that any database can hold, from values that a model, a tool or a user made up.

Nothing is refused, and only what cannot be stored is rewritten. In texts, NUL and lone surrogates become
their escapes (`\\x00`, `\\ud800`). NaN and infinities become null. What is not JSON becomes the
nearest thing that is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import orjson

_DEPTH = 100
_LARGEST = 2**63 - 1


def text(value: str) -> str:
    """The text with NUL (PostgreSQL refuses it) and lone surrogates (no UTF-8 for them) escaped."""
    value = _encodable(value)
    return value.replace("\0", "\\x00") if "\0" in value else value


def _encodable(value: str) -> str:
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def optional_text(value: str | None) -> str | None:
    return None if value is None else text(value)


def number(value: float | None) -> float | None:
    """A finite number, or None."""
    return value if value is not None and math.isfinite(value) else None


def count(value: int) -> int:
    """A count that fits in 64 bits; providers have been seen to send nonsense."""
    return max(-_LARGEST, min(value, _LARGEST))


def json(value: Any) -> str:
    """JSON of anything; what is JSON already comes back equal (NaN as null, tuples as lists)."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return orjson.dumps(_plain(value, ())).decode()


def optional_json(value: Any) -> str | None:
    return None if value is None else json(value)


def _plain(value: Any, parents: tuple[int, ...]) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case Enum():
            return _plain(value.value, parents)
        case str():
            return _encodable(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "backslashreplace")
    if id(value) in parents or len(parents) == _DEPTH:
        return f"<{type(value).__name__}: nested without end>"
    within = (*parents, id(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name), within) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_name(key): _plain(item, within) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(item, within) for item in value), key=repr)
    if isinstance(value, Collection):
        return [_plain(item, within) for item in value]
    return _name(value)


def _name(value: Any) -> str:
    """A text for a key or for an object; its `__str__` is foreign code and may raise."""
    try:
        return _encodable(str(value))
    except Exception:
        return f"<{type(value).__name__}>"
