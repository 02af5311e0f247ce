"""Files that a command writes beside what it prints."""

from __future__ import annotations

import os
from pathlib import Path

from agentkit.errors import UsageError


def prepare(option: str, file: str | None) -> None:
    """Make the file's folder, before any work is done for it. Raises UsageError where it cannot be written."""
    if file is None or file == "-":
        return
    target = Path(file)
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option}: {target.parent} cannot be made: {error.strerror}") from None
    if target.is_dir() or not os.access(target.absolute().parent, os.W_OK):
        raise UsageError(f"{option}: {file} is no file that can be written")
