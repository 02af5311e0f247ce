"""Files that are there whole or not at all, whenever the process dies."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path
from typing import Any


def is_special(path: Path) -> bool:
    """Whether a device, a pipe or a terminal is there, which is written to and never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write beside the file, on to the disk, and rename; where that fails, nothing stays behind. Of a symlink the file
    that it leads to is replaced; a device, a pipe or a terminal is written to. `private`: for the owner's eyes alone.
    Raises OSError as writing does."""
    if is_special(path):
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb", opener=partial(os.open, mode=0o600 if private else 0o666)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """The same of plain JSON; NumPy's numbers count as numbers."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    write_whole(path, orjson.dumps(value, default=float, option=options) + b"\n")
