"""JSON that a project keeps and reviews: written whole or not at all, equal content as equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from agentkit.errors import UsageError
from agentkit.files import write_whole


def write_json(document: Any, path: Path) -> None:
    """Write plain JSON, its names in order. Raises UsageError where it cannot be written."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
