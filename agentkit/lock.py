"""A lock that one process holds at a time, and that says which."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agentkit.errors import UsageError


@contextmanager
def locked(lock: Path, refusal: str | None = None) -> Iterator[None]:
    """Hold a file, made where it is missing, while the block runs. The lock ends with its process, however that ends.

    Raises:
        UsageError: another process holds it: `refusal`, with that process's id for its `{}` (without a refusal that one
            is waited for); or it cannot be written.
    """
    with ExitStack() as stack:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            held = stack.enter_context(lock.open("a+"))
            held.seek(0)
            fcntl.flock(held, fcntl.LOCK_EX if refusal is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.truncate(0)
            held.write(str(os.getpid()))
            held.flush()
        except BlockingIOError:
            assert refusal is not None
            raise UsageError(f"{lock}: {refusal.format(held.read().strip() or 'unknown')}") from None
        except OSError as error:
            raise UsageError(f"{lock.absolute()} cannot be written: {error.strerror}") from None
        yield
