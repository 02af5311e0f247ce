"""One process at a time turns the wheel of a project."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from agentkit.lock import locked

LOCK = Path(".agentkit") / "loop.lock"


def alone(lock: Path = LOCK) -> AbstractContextManager[None]:
    """Hold a project's loop.

    Raises (on entering):
        UsageError: another process holds it; names that process. Or the lock cannot be written.
    """
    return locked(lock, "another loop is at work here (process {}); let it go on, or end it first")
