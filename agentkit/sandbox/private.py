"""The folders of ours that a program in the sandbox must not read, wherever they lie."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_PROJECT = "pyproject.toml"
_private: dict[Path, None] = {}
"""Real paths; a dictionary for its order."""


def keep_private(path: Path) -> None:
    """From now on no program in the sandbox can read what is in this folder, or in the one that holds this file."""
    real = Path(os.path.realpath(path))
    _private[real.parent if os.path.isfile(real) else real] = None


def private_folders() -> tuple[Path, ...]:
    """All of which `keep_private` was told, the home folder, the working folder and every project that holds it.

    A folder that was once the working folder here stays private.
    """
    keep_private(Path(os.path.expanduser("~")))
    with suppress(OSError):  # it may have been deleted
        start = Path.cwd()
        keep_private(start)
        for folder in start.parents:
            if os.path.isfile(folder / _PROJECT):
                keep_private(folder)
    return tuple(_private)
