"""Processes that end with the one that started them: a keeper ends them in any case. And that of a model server, with
its log."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from agentkit.errors import EngineError
from agentkit.serve.cache import cache_folder

KEEPER = Path(__file__).with_name("keeper.py")
LOG_TAIL = 15
"""Lines of the server's log shown in an error."""
_LAST = 64 * 1024
"""Bytes of the log in which they are looked for."""


def spawn_kept(
    command: Sequence[str], environment: Mapping[str, str], output: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """The keeper of a command, whose output and exit code are the command's: 128 and the signal's number where a signal
    ended it. The command and its children end once the keeper's input is closed, as it is when this process is gone."""
    return subprocess.Popen(
        [sys.executable, "-P", str(KEEPER), *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )


def end_kept(*keepers: subprocess.Popen[bytes]) -> None:
    """End what these keep, and wait until it is gone."""
    for keeper in keepers:
        assert keeper.stdin is not None
        keeper.stdin.close()
    for keeper in keepers:
        keeper.wait()


class ServerProcess:
    """One server. It ends with `stop` and with this process, however that ends.

    Raises (on being made):
        EngineError: its log cannot be written, or the system starts no process.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        descriptor, self.log = _new_log(cache_folder() / "logs")
        try:
            self._process = spawn_kept(command, environment, descriptor)
        except OSError as error:
            self.drop_log()
            raise EngineError(f"the process of a server could not be started: {error}") from None
        finally:
            os.close(descriptor)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def explain(self, what: str) -> str:
        """`what` with the end of the log, for an error; however long the log is, it takes no time."""
        try:
            lines = self._end_of_log()
        except OSError as error:
            return f"{what}; its log cannot be read: {error}"
        tail = "\n".join(f"  {line}" for line in lines[-LOG_TAIL:])
        return f"{what}; the end of its log, {self.log}:\n{tail}"

    def _end_of_log(self) -> list[str]:
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _LAST))
            return log.read(_LAST).decode("utf-8", errors="replace").splitlines()

    def stop(self, *, keep_log: bool = False) -> None:
        """End the server and its children, and wait until they are gone."""
        end_kept(self._process)
        if not keep_log:
            self.drop_log()

    def drop_log(self) -> None:
        """Delete the log; one that cannot be deleted is left."""
        with suppress(OSError):
            self.log.unlink()


def _new_log(folder: Path) -> tuple[int, Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="vllm-", suffix=".log")
    except OSError as error:
        raise EngineError(
            f"{folder}: found {error.strerror!r}, expected a folder for the logs of servers; AGENTKIT_CACHE names "
            "another cache"
        ) from None
    return descriptor, Path(name)
