"""JSON that a project keeps and reviews: written whole or not at all, equal content as equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from agentkit.errors import UsageError


def write_json(document: Any, path: Path) -> None:
    """Write plain JSON, its names in order, beside the file, and put it in place. Raises UsageError where it cannot be
    written."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    part = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(text)
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
