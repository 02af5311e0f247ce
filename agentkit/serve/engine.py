"""A real vLLM server as a subprocess: started on a free loopback port, waited for, and certainly stopped."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import httpx

from agentkit.errors import EngineError
from agentkit.serve.command import EngineSettings, computing, vllm_command, vllm_environment
from agentkit.serve.process import ServerProcess

_LOOK = 0.25
"""Seconds between two looks whether it is ready."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a served model can be asked, as an OpenAI-compatible client needs it."""

    base_url: str
    """Ends in `/v1`."""
    model: str
    api_key: str = field(repr=False)
    computing: Mapping[str, str] = field(default_factory=dict)
    """Of a server of ours: as `agentkit.serve.command.computing`."""


class Engine:
    """One vLLM server for one model; a context manager that gives the `Endpoint`.

    The server ends with the `with` block and with this process, however that ends. It listens on loopback only, and
    wants a key that no other process is told. Its log is deleted when it is stopped, kept and named when it dies.

    Args:
        model: a folder with weights and tokenizer, or the name of a model hub's model.
        name: what requests call the model.
        on_progress: is told in words what is going on.

    Raises (on entering):
        EngineError: vLLM is missing, could not be started, died (with the end of its log), or did not answer in time.
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
        self._process: ServerProcess | None = None

    def __enter__(self) -> Endpoint:
        with spawned(self._model, self._name, self._settings) as (process, endpoint):
            try:
                self._wait_until_ready(process, endpoint)
            except BaseException as failure:
                process.stop(keep_log=isinstance(failure, EngineError))
                raise
        self._process = process
        return endpoint

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    def _wait_until_ready(self, process: ServerProcess, endpoint: Endpoint) -> None:
        """Ask for the model until it answers under our key, so that no stranger on the port is taken for it."""
        begin = time.monotonic()
        self._tell(f"starting vLLM with {self._name}")
        with httpx.Client(headers=authorization(endpoint), timeout=5.0, trust_env=False) as client:
            while (elapsed := time.monotonic() - begin) < self._settings.start_timeout:
                check_alive(process)
                if serves(client, endpoint):
                    self._tell(f"vLLM is ready after {elapsed:.0f} s")
                    return
                time.sleep(_LOOK)
        raise too_late(process, self._settings)


@contextmanager
def spawned(model: str, name: str, settings: EngineSettings) -> Iterator[tuple[ServerProcess, Endpoint]]:
    """A server's process and where it will answer. Its port is kept free for it until the block ends, before which it
    should be ready; whoever asks for it stops it.

    Raises:
        EngineError: vLLM is missing, or its process cannot be started.
    """
    key = secrets.token_urlsafe(32)
    with reserved_port() as port:
        command = vllm_command(model, name, port, settings)
        process = ServerProcess(command, vllm_environment(model, key, settings))
        yield process, Endpoint(f"http://127.0.0.1:{port}/v1", name, key, computing(settings))


def authorization(endpoint: Endpoint) -> dict[str, str]:
    """The headers that open an endpoint."""
    return {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}


def check_alive(process: ServerProcess) -> None:
    """Raises EngineError, with the end of its log, where a server that should become ready has ended."""
    if (code := process.exit_code) is not None:
        raise EngineError(process.explain(f"vLLM ended with exit code {code} before it was ready"))


def too_late(process: ServerProcess, settings: EngineSettings) -> EngineError:
    return EngineError(process.explain(f"vLLM was not ready after {settings.start_timeout:.0f} s"))


def serves(client: httpx.Client, endpoint: Endpoint) -> bool:
    """Whether the endpoint answers, and with our model."""
    try:
        answer = client.get(f"{endpoint.base_url}/models")
    except httpx.TransportError:
        return False
    return offers(answer, endpoint.model)


def offers(answer: httpx.Response, model: str) -> bool:
    """Whether an answer to `GET /models` names the model."""
    if not answer.is_success:
        return False
    try:
        return model in (it["id"] for it in answer.json()["data"])
    except (ValueError, KeyError, TypeError):
        return False  # a stranger


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
