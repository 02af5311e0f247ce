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
"""Seconds between asking the command to end and ending it."""
ORPHAN_GRACE = 2.0
"""Seconds that its children then have."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def set_process(option: int, value: int) -> None:
    """Linux's prctl; elsewhere nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask the child's whole process group to end; make what is left of it after a while."""
    signal_group(child.pid, signal.SIGTERM)
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        signal_group(child.pid, signal.SIGKILL)
        child.wait()
    deadline = time.monotonic() + ORPHAN_GRACE
    while orphans(child.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    signal_group(child.pid, signal.SIGKILL)


def signal_group(group: int, signum: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signum)


def orphans(group: int) -> bool:
    """Whether processes of the group are left that this keeper took over; collects those that have ended."""
    try:
        while os.waitpid(-group, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def main() -> int:
    set_process(PR_SET_CHILD_SUBREAPER, 1)  # to wait for the child's children once they are orphans
    # The child leads a process group of its own, so that a Ctrl-C in the terminal reaches the asking process alone,
    # which may still want to finish what it is doing. The kernel ends it when this thread, and so the keeper, is gone.
    child = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: set_process(PR_SET_PDEATHSIG, signal.SIGTERM),
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
