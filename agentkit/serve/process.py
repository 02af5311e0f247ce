"""The process of a model server: spawned with a keeper that ends it in any case, and its log."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentkit.serve.cache import cache_folder

KEEPER = Path(__file__).with_name("keeper.py")
LOG_TAIL = 15
"""Lines of the server's log shown in an error."""


class ServerProcess:
    """One server. It ends with `stop` and with this process, however that ends."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        logs = cache_folder() / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=logs, prefix="vllm-", suffix=".log", delete=False) as log:
            self.log = Path(log.name)
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(KEEPER), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def explain(self, what: str) -> str:
        """`what` with the end of the log, for an error."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"  {line}" for line in lines[-LOG_TAIL:])
        return f"{what}; the end of its log, {self.log}:\n{tail}"

    def stop(self, *, keep_log: bool = False) -> None:
        """Close the keeper's pipe, which ends the server and its children, and wait until they are gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        if not keep_log:
            self.log.unlink(missing_ok=True)
