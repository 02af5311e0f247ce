"""Files that are there whole or not at all, whenever the process dies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the file, on to the disk, and rename. Raises OSError as writing does."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """The same of plain JSON; NumPy's numbers count as numbers."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    write_whole(path, orjson.dumps(value, default=float, option=options) + b"\n")
