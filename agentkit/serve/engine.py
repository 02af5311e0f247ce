"""A real vLLM server as a subprocess: started on a free loopback port, waited for, and certainly stopped."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import httpx

from agentkit.errors import EngineError
from agentkit.serve.cache import cache_folder
from agentkit.serve.command import EngineSettings, vllm_command, vllm_environment

KEEPER = Path(__file__).with_name("keeper.py")
LOG_TAIL = 15
"""Lines of the server's log shown in an error."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a served model can be asked, as an OpenAI-compatible client needs it."""

    base_url: str
    """Ends in `/v1`."""
    model: str
    api_key: str = field(repr=False)


class Engine:
    """One vLLM server for one model; a context manager that gives the `Endpoint`.

    The server ends with the `with` block and with this process, however that ends. It listens on loopback only, and
    wants a key that no other process is told. Its log is deleted when it is stopped, kept and named when it dies.

    Args:
        model: a folder with weights and tokenizer, or the name of a model hub's model.
        name: what requests call the model.
        on_progress: is told in words what is going on.

    Raises (on entering):
        EngineError: vLLM is missing, died (with the end of its log), or did not answer in time.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        name: str,
        settings: EngineSettings | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self._model = str(model)
        self._name = name
        self._settings = settings or EngineSettings()
        self._tell = on_progress or (lambda _: None)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Path | None = None

    def __enter__(self) -> Endpoint:
        key = secrets.token_urlsafe(32)
        with reserved_port() as port:
            endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", self._name, key)
            command = vllm_command(self._model, self._name, port, self._settings)
            try:
                self._spawn(command, vllm_environment(self._model, key, self._settings))
                self._wait_until_ready(endpoint)
            except BaseException as failure:
                self._stop(keep_log=isinstance(failure, EngineError))
                raise
        return endpoint

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _spawn(self, command: list[str], env: dict[str, str]) -> None:
        logs = cache_folder() / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=logs, prefix="vllm-", suffix=".log", delete=False) as log:
            self._log = Path(log.name)
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(KEEPER), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )

    def _wait_until_ready(self, endpoint: Endpoint) -> None:
        """Ask for the model until it answers under our key, so that no stranger on the port is taken for it."""
        process = self._process
        assert process is not None
        begin = time.monotonic()
        self._tell(f"starting vLLM with {self._name}")
        headers = {"Authorization": f"Bearer {endpoint.api_key}"}
        with httpx.Client(headers=headers, timeout=5.0, trust_env=False) as client:
            while (elapsed := time.monotonic() - begin) < self._settings.start_timeout:
                if (code := process.poll()) is not None:
                    raise EngineError(self._explain(f"vLLM ended with exit code {code} before it was ready"))
                if serves(client, endpoint):
                    self._tell(f"vLLM is ready after {elapsed:.0f} s")
                    return
                time.sleep(0.25)
        raise EngineError(self._explain(f"vLLM was not ready after {self._settings.start_timeout:.0f} s"))

    def _explain(self, what: str) -> str:
        assert self._log is not None
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"  {line}" for line in lines[-LOG_TAIL:])
        return f"{what}; the end of its log, {self._log}:\n{tail}"

    def _stop(self, *, keep_log: bool = False) -> None:
        """Close the keeper's pipe, which ends the server and its children, and wait until they are gone."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
        if self._log is not None and not keep_log:
            self._log.unlink(missing_ok=True)


def serves(client: httpx.Client, endpoint: Endpoint) -> bool:
    """Whether the endpoint answers, and with our model."""
    try:
        answer = client.get(f"{endpoint.base_url}/models")
    except httpx.TransportError:
        return False
    return answer.is_success and endpoint.model in (model["id"] for model in answer.json()["data"])


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free loopback port that nobody else is given meanwhile.

    The socket is bound and does not listen: the kernel hands its port out no more, and a server that sets
    SO_REUSEADDR, as vLLM does, can still bind and listen there.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
