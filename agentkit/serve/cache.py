"""The user's cache folder: what is costly to make, can be made again, and belongs to no project."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$AGENTKIT_CACHE`, else `$XDG_CACHE_HOME/agentkit`, else `~/.cache/agentkit`; not necessarily there yet."""
    if own := os.environ.get("AGENTKIT_CACHE"):
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "agentkit"
