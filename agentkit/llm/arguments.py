"""What a model wrote as the arguments of a tool call, read without trusting it."""

from __future__ import annotations

from typing import Any

import orjson

MAX_DEPTH = 64
"""Nesting beyond this is no argument but an attack on whoever walks through it."""


def parse_arguments(written: object) -> tuple[dict[str, Any] | None, str | None]:
    """Arguments and None, or None and the text that is not a JSON object.

    Servers send JSON inside a string; some send the object itself, or nothing where a tool has no parameters.
    NaN, infinities, lone surrogates and nesting deeper than MAX_DEPTH are refused, so that what is accepted
    can be compared and stored.
    """
    if written is None or (isinstance(written, str) and not written.strip()):
        return {}, None
    raw = written if isinstance(written, str) else orjson.dumps(written).decode()
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None, raw
    if not isinstance(parsed, dict) or _depth_exceeds(parsed, MAX_DEPTH):
        return None, raw
    return parsed, None


def _depth_exceeds(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for container in level
            if isinstance(container, dict | list)
            for child in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)
