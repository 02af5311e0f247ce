"""Runs one command, and ends it with all its children as soon as whoever asked for it is gone.

    python -P keeper.py COMMAND [ARGUMENT...]

Standard input must be a pipe that only the asking process holds open. The kernel closes it however that process ends,
`kill -9` included, so no signal handler of theirs and no clean-up code has to run. Standard library only: it starts
at once and runs by its path, without importing the package.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

GRACE = 10.0
"""Seconds between asking the children to end and ending them."""
PR_SET_PDEATHSIG = 1


def end_with_keeper() -> None:
    """In the child, before it starts: have the kernel end it when this keeper itself is killed (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask the child's whole process group to end; after GRACE seconds, make it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while alive(child.pid) and time.monotonic() < deadline:
        child.poll()  # a child that nobody waited for still counts as alive
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def main() -> int:
    # The child leads a process group of its own, so that a Ctrl-C in the terminal reaches the asking process alone,
    # which may still want to finish what it is doing. This thread lives as long as the keeper, as PDEATHSIG demands.
    child = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_keeper
    )
    over = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, lambda *_: over.set())
    for sign_of_the_end in (child.wait, sys.stdin.buffer.read):
        threading.Thread(target=wait_then_set, args=(sign_of_the_end, over), daemon=True).start()
    over.wait()
    end(child)
    code = child.wait()
    return code if code >= 0 else 128 - code


def wait_then_set(wait: Callable[[], object], over: threading.Event) -> None:
    wait()
    over.set()


if __name__ == "__main__":
    # Not sys.exit: the thread that still reads standard input must not hold the interpreter up.
    os._exit(main())
