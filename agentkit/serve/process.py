"""The process of a model server: spawned with a keeper that ends it in any case, and its log."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from agentkit.errors import EngineError
from agentkit.serve.cache import cache_folder

KEEPER = Path(__file__).with_name("keeper.py")
LOG_TAIL = 15
"""Lines of the server's log shown in an error."""
_LAST = 64 * 1024
"""Bytes of the log in which they are looked for."""


class ServerProcess:
    """One server. It ends with `stop` and with this process, however that ends.

    Raises (on being made):
        EngineError: its log cannot be written, or the system starts no process.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        descriptor, self.log = _new_log(cache_folder() / "logs")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(KEEPER), *command],
                stdin=subprocess.PIPE,
                stdout=descriptor,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
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
        """Close the keeper's pipe, which ends the server and its children, and wait until they are gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
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
