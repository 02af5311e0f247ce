"""A lock that one process holds at a time, and that says which."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentkit.errors import UsageError


@contextmanager
def locked(lock: Path, refusal: str) -> Iterator[None]:
    """Hold a file, made where it is missing, while the block runs. The lock ends with its process, however that ends.

    Raises:
        UsageError: another process holds it: `refusal`, with that process's id for its `{}`.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as held:
        held.seek(0)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{lock}: {refusal.format(held.read().strip() or 'unknown')}") from None
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        yield
