"""The folders of ours that a program in the sandbox must not read, wherever they lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_PROJECT = "pyproject.toml"


def private_folders() -> Iterator[Path]:
    """The home folder, the working folder and every project that holds it; real paths."""
    yield Path(os.path.realpath(os.path.expanduser("~")))
    try:
        start = Path.cwd()
    except OSError:  # it has been deleted
        return
    yield start
    yield from (folder for folder in start.parents if (folder / _PROJECT).is_file())
