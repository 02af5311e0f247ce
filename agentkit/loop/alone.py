"""One process at a time turns the wheel of a project."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentkit.errors import UsageError

LOCK = Path(".agentkit") / "loop.lock"


@contextmanager
def alone(lock: Path = LOCK) -> Iterator[None]:
    """Hold a project's loop. The lock ends with its process, however that ends.

    Raises:
        UsageError: another process holds it; names that process.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as held:
        held.seek(0)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{lock}: another loop is at work here (process {held.read().strip() or 'unknown'}); "
                "let it go on, or end it first"
            ) from None
        held.truncate()
        held.write(str(os.getpid()))
        held.flush()
        yield
