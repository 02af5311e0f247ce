"""Runs a program in the sandbox, watches it, and tells how it ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

import orjson

from agentkit.errors import SandboxError
from agentkit.sandbox.command import PROGRAM, Descriptors, Tools, build, checked_path, find_tools
from agentkit.sandbox.filter import seccomp_filter
from agentkit.sandbox.limits import MB, SandboxLimits, SandboxResult
from agentkit.sandbox.watch import holds_more

_EVERY = 0.02
"""Seconds between two looks at the memory."""
_FAREWELL = 2.0
"""Seconds that bubblewrap has to end after what it ran was killed."""
_START = 10.0
"""Seconds that the sandbox may take to be set up."""


def run_sandboxed(
    code: str,
    *,
    files: Mapping[str, str] | None = None,
    stdin: str = "",
    limits: SandboxLimits | None = None,
    libraries: Sequence[Path] = (),
) -> SandboxResult:
    """Run Python code where it has no network, no secrets, no files of ours, and nobody's rights.

    `files` (relative path → text) lie beside it in its working folder, where it may write, and which nobody sees
    afterwards. `libraries` are folders of packages that it can import besides the standard library, read-only.

    Whatever the code does is told by the result. Raises SandboxError where there is no sandbox on this machine: then
    nothing was run. Raises UsageError for a file or a library that cannot be given to it.
    """
    tools = find_tools()
    _self_test(tools)
    return _run(tools, code, files or {}, stdin, limits or SandboxLimits(), libraries)


@lru_cache(maxsize=4)
def _self_test(tools: Tools) -> None:
    """One program whose end is known, once in a process: whatever goes wrong later is the program's doing."""
    result = _run(tools, "print(6 * 7)", {}, "", SandboxLimits(seconds=30), ())
    if not result.ok or result.stdout.strip() != "42":
        said = (result.stderr or result.killed_by or f"exit code {result.exit_code}").strip().splitlines()[-1]
        raise SandboxError(
            f"no sandbox: bubblewrap does not work here ({said}). In a container it needs the right to make namespaces "
            "(`--security-opt seccomp=unconfined`, or `--privileged`); on Ubuntu 24.04 an AppArmor profile for bwrap"
        )


def _run(
    tools: Tools,
    code: str,
    files: Mapping[str, str],
    stdin: str,
    limits: SandboxLimits,
    libraries: Sequence[Path],
) -> SandboxResult:
    contents = {PROGRAM: code, **{checked_path(name): text for name, text in files.items()}}
    with ExitStack() as held:
        program = seccomp_filter()
        told, status = _pipe(held)
        given = Descriptors(
            status=status,
            files=tuple(
                (name, _in_memory(held, text.encode("utf-8", "surrogatepass"))) for name, text in contents.items()
            ),
            seccomp=None if program is None else _in_memory(held, program),
        )
        passed = [given.status, *(fd for _, fd in given.files), *(() if given.seccomp is None else (given.seccomp,))]
        command = build(tools, given, limits, libraries, root=os.geteuid() == 0)
        entry = _in_memory(held, stdin.encode("utf-8", "surrogatepass"))
        started = time.monotonic()
        try:
            process = subprocess.Popen(
                command,
                stdin=entry,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                cwd="/",
                pass_fds=passed,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"no sandbox: {tools.bubblewrap} could not be started: {error}") from error
        finally:
            os.close(status)
        return _watched(process, told, started, limits)


def _watched(process: subprocess.Popen[bytes], told: int, started: float, limits: SandboxLimits) -> SandboxResult:
    assert process.stdout is not None, "asked for"
    assert process.stderr is not None, "asked for"
    outputs = [_Bounded(stream, limits.output) for stream in (process.stdout, process.stderr)]
    first: int | None = None
    killed_by = None
    try:
        first = _first_process(told)
        killed_by = _until_over(process, first, started + limits.seconds, limits)
    finally:
        _kill(process, first)
    seconds = time.monotonic() - started
    for output in outputs:
        output.join()
    code = process.returncode
    ended_by = _signal_name(code)
    return SandboxResult(
        exit_code=None if killed_by or ended_by else code,
        signal="SIGKILL" if killed_by else ended_by,
        stdout=outputs[0].text,
        stderr=outputs[1].text,
        cut=any(output.cut for output in outputs),
        timed_out=killed_by is not None and killed_by.startswith("wall time"),
        killed_by=killed_by or _limit_behind(ended_by, limits),
        seconds=seconds,
    )


def _until_over(
    process: subprocess.Popen[bytes], first: int | None, deadline: float, limits: SandboxLimits
) -> str | None:
    """Waits. The limit that is exceeded, in words; None where the program ended by itself."""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return f"wall time: {limits.seconds:g} s"
        with suppress(subprocess.TimeoutExpired):
            process.wait(min(_EVERY, left))
            return None
        if first is not None and holds_more(first, limits.memory):
            return f"memory: {limits.memory / MB:,.0f} MB for all processes together"


def _kill(process: subprocess.Popen[bytes], first: int | None) -> None:
    """End everything inside: with the first process of its namespace, the kernel ends all others."""
    if process.poll() is None and first is not None:
        with suppress(ProcessLookupError):
            os.kill(first, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_FAREWELL)  # bubblewrap has a child to bury, and then goes itself
    process.kill()
    process.wait()


def _first_process(told: int) -> int | None:
    """The id, on our side, of the namespace's first process; None where the sandbox came to nothing."""
    line, deadline = b"", time.monotonic() + _START
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([told], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(told, 1) if ready else b""
        if not piece:
            return None
        line += piece
    return int(orjson.loads(line)["child-pid"])


def _signal_name(code: int) -> str | None:
    number = code - 128 if code > 128 else -code
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


def _limit_behind(ended_by: str | None, limits: SandboxLimits) -> str | None:
    if ended_by == "SIGXCPU":
        return f"processor time: {limits.seconds:g} s"
    if ended_by == "SIGXFSZ":
        return f"file size: {limits.disk / MB:,.0f} MB"
    return None


def _pipe(held: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    held.callback(os.close, read)
    return read, write


def _in_memory(held: ExitStack, content: bytes) -> int:
    """A descriptor from which `content` can be read, and into which nothing can be written."""
    file = os.memfd_create("sandbox")
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        readable = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
    finally:
        os.close(file)
    held.callback(os.close, readable)
    return readable


class _Bounded:
    """Reads a stream to its end on a thread of its own, and keeps the beginning."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._kept = bytearray()
        self.cut = False
        self._thread = threading.Thread(target=self._read, name="sandbox output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream as stream:
            while piece := os.read(stream.fileno(), 1 << 16):
                room = self._limit - len(self._kept)
                self._kept += piece[:room]
                self.cut |= len(piece) > room

    def join(self) -> None:
        self._thread.join()

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")
