"""Where a replica's server comes from: one that is started here, or one that runs already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx

from agentkit.errors import EngineError
from agentkit.serve.command import EngineSettings
from agentkit.serve.engine import Endpoint, authorization, check_alive, offers, spawned, too_late
from agentkit.serve.process import ServerProcess

_LOOK = 0.25
"""Seconds between two looks whether it is ready."""


class Server(Protocol):
    """One server, which may be started again after it ended."""

    async def start(self) -> Endpoint:
        """Wait until it answers. Raises EngineError where it does not come up."""

    def ended(self) -> str | None:
        """Why it runs no more; None where it does, as far as can be told without asking it."""

    async def stop(self, *, keep_log: bool = False) -> None:
        """End it, where it was started here; whether or not it runs. `keep_log`: it died, and its log may tell why."""


class StartedServer:
    """A vLLM of our own, a new process with another port and key at each start."""

    def __init__(self, model: str | Path, name: str, settings: EngineSettings) -> None:
        self._model = str(model)
        self._name = name
        self._settings = settings
        self._process: ServerProcess | None = None
        self._dead: ServerProcess | None = None

    async def start(self) -> Endpoint:
        with spawned(self._model, self._name, self._settings) as (process, endpoint):
            try:
                await self._ready(process, endpoint)
            except BaseException as failure:
                await self._end(process, keep_log=isinstance(failure, EngineError))
                raise
        self._process = process
        return endpoint

    async def _ready(self, process: ServerProcess, endpoint: Endpoint) -> None:
        begin = time.monotonic()
        async with httpx.AsyncClient(headers=authorization(endpoint), timeout=5.0, trust_env=False) as client:
            while time.monotonic() - begin < self._settings.start_timeout:
                check_alive(process)
                if await serves(client, endpoint):
                    return
                await asyncio.sleep(_LOOK)
        raise too_late(process, self._settings)

    def ended(self) -> str | None:
        process = self._process
        if process is None or process.exit_code is None:
            return None
        return process.explain(f"vLLM ended with exit code {process.exit_code}")

    async def stop(self, *, keep_log: bool = False) -> None:
        process, self._process = self._process, None
        if process is not None:
            await self._end(process, keep_log=keep_log)

    async def _end(self, process: ServerProcess, *, keep_log: bool) -> None:
        """The log of a server that died is kept until the next one of this replica dies."""
        stopping = asyncio.ensure_future(asyncio.to_thread(process.stop, keep_log=keep_log))
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            await stopping
            raise
        if keep_log:
            if self._dead is not None:
                self._dead.drop_log()
            self._dead = process


class ExistingServer:
    """A server that somebody else runs: it is asked, and never started or stopped."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def start(self) -> Endpoint:
        headers = authorization(self._endpoint)
        async with httpx.AsyncClient(headers=headers, timeout=10.0, trust_env=False) as client:
            if not await serves(client, self._endpoint):
                raise EngineError(f"{self._endpoint.base_url} does not answer, or serves no {self._endpoint.model}")
        return self._endpoint

    def ended(self) -> str | None:
        return None

    async def stop(self, *, keep_log: bool = False) -> None:
        return None


Maker = Callable[[str | Path, str, EngineSettings], Server]
"""Makes the server of a model's folder, the name that requests call it by, and settings."""


async def serves(client: httpx.AsyncClient, endpoint: Endpoint) -> bool:
    """Whether the endpoint answers, and with our model."""
    try:
        answer = await client.get(f"{endpoint.base_url}/models")
    except httpx.TransportError:
        return False
    return offers(answer, endpoint.model)


async def healthy(client: httpx.AsyncClient, endpoint: Endpoint) -> bool | None:
    """Whether a server that answered before still does, and its engine lives. None: nothing listens there any more."""
    try:
        answer = await client.get(f"{endpoint.base_url.removesuffix('/v1')}/health")
    except httpx.ConnectError:
        return None
    except httpx.TransportError:
        return False
    if answer.status_code == 404:  # no vLLM
        return await serves(client, endpoint)
    return answer.is_success
