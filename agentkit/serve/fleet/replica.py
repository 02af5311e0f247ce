"""One replica: its server's life from start to start, and the adapters that it answers for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from agentkit.errors import EngineError
from agentkit.records import AdapterName
from agentkit.serve.engine import Endpoint
from agentkit.serve.fleet.attestation import attest
from agentkit.serve.fleet.prepared import Merged, Prepared
from agentkit.serve.fleet.server import Server, healthy
from agentkit.serve.fleet.state import Pace, State, told
from agentkit.serve.fleet.talk import Talk

_LAST_WORDS = 3.0
"""Seconds that a process has to end once it listens no more, so that its end can be told."""
_LOOK = 0.05


class Replica:
    """A server that is kept up.

    Args:
        merged: what its weights hold beside the base model's; None for the base model itself.
        wanted: the adapters that a server of the base model loads whenever it starts; None where it can load none.
        changed: is called after each change of what it answers for.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        *,
        pace: Pace,
        changed: Callable[[], None],
        tell: Callable[[str], None],
        merged: Merged | None = None,
        wanted: Mapping[AdapterName, Prepared] | None = None,
    ) -> None:
        self.name = name
        self.merged = merged
        self.wanted = wanted
        self.state = State.STARTING
        self.endpoint: Endpoint | None = None
        self.attested: set[AdapterName] = set()
        self.restarts = 0
        self.why = ""
        self.settled = asyncio.Event()
        """Set once the first start came to its end, whether well or not."""
        self._server = server
        self._pace = pace
        self._changed = changed
        self._tell = tell
        self._alone = asyncio.Lock()
        self._leaving = False
        self._life: asyncio.Task[None] | None = None
        self._loads: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Start it, and keep it up from now on."""
        self._life = asyncio.create_task(self._live(), name=f"replica {self.name}")

    async def end(self) -> None:
        """Stop it for good."""
        self.drain()
        if self._life is not None:
            self._life.cancel()
            with suppress(asyncio.CancelledError):
                await self._life
        await self._server.stop()
        await asyncio.gather(*self._loads, return_exceptions=True)
        self._become(State.DEAD)

    def drain(self) -> None:
        """Nothing new is given to it from now on, and once it ends it is not started again."""
        self._leaving = True
        self._become(State.DRAINING)

    async def take(self, adapter: Prepared) -> None:
        """Load an adapter and attest it; only then is it answered for. Nothing happens where it is wanted no longer.

        Raises:
            AdapterError: the server does not serve it; it was taken out again.
            EngineError: the server does not answer.
        """
        async with self._alone:
            if self.endpoint is None:
                raise EngineError(f"replica {self.name} has no server")
            wanted = (self.wanted or {}).get(adapter.name) is adapter
            if wanted and adapter.name not in self.attested:
                await self._load(self.endpoint, adapter)
        self._changed()

    async def drop(self, name: AdapterName) -> None:
        """Take an adapter out; a server that does not answer forgets it with its end."""
        self.hide(name)
        async with self._alone:
            self.hide(name)  # a load was under way
            if self.endpoint is not None:
                with suppress(EngineError):
                    async with Talk(self.endpoint) as talk:
                        await talk.unload(name)

    def hide(self, name: AdapterName) -> None:
        """Answer for an adapter no longer; it stays loaded for what is under way."""
        self.attested.discard(name)
        self._changed()

    async def _live(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(self._pace.before_start(failures))
            try:
                began = await self._come_up()
                with self._loading():
                    why = await self._watched(began)
            except Exception as error:  # whatever it is: the next start may go well
                why, failures = told(error), failures + 1
            else:
                failures = 1 if time.monotonic() - began >= self._pace.steady else failures + 1
            self._die(why)
            await self._server.stop(keep_log=True)
            if self._leaving:
                return
            self.restarts += 1
            self._become(State.STARTING)

    async def _come_up(self) -> float:
        """Start the server and make it ready; gives when it was. A server of base weights is ready before its adapters
        are."""
        self._tell(f"{self.name}: starting")
        begin = time.monotonic()
        endpoint = await self._server.start()
        async with Talk(endpoint) as talk:
            await talk.warm(endpoint.model)
            if self.merged is not None:
                await attest(talk, endpoint.model, self.merged.prepared.probe, None)
                self.attested = {self.merged.prepared.name}
        self.endpoint = endpoint
        self.why = ""
        if not self._leaving:
            self._become(State.READY)
        self._tell(f"{self.name}: ready after {time.monotonic() - begin:.0f} s")
        self.settled.set()
        return time.monotonic()

    @contextmanager
    def _loading(self) -> Iterator[None]:
        """Have the adapters loaded that are wanted and not answered for, as long as the block runs."""
        task = asyncio.create_task(self._load_missing(), name=f"adapters of {self.name}")
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)
        try:
            yield
        finally:
            task.cancel()

    async def _load_missing(self) -> None:
        """One after the other, again and again. One that fails is told, not answered for here and tried again after a
        while; the server goes on with all else."""
        while self.wanted is not None:
            why = ""
            for adapter in [it for name, it in self.wanted.items() if name not in self.attested]:
                try:
                    await self.take(adapter)
                except Exception as error:  # whether the server lives is told by its health
                    why = told(error)
                    self._tell(f"{self.name}: load adapter {adapter.name}: {why}")
            self.why = why
            await asyncio.sleep(self._pace.reload)

    async def _load(self, endpoint: Endpoint, adapter: Prepared) -> None:
        begin = time.monotonic()
        async with Talk(endpoint) as talk:
            if adapter.name in await talk.models():  # of a server that runs already, or left from a start cut short
                await talk.unload(adapter.name)
            await talk.load(adapter.name, adapter.folder.path)
            try:
                found = await attest(talk, adapter.name, adapter.probe, endpoint.model)
            except BaseException:
                with suppress(EngineError):
                    await talk.unload(adapter.name)
                raise
        if self.endpoint is not endpoint:
            raise EngineError(f"replica {self.name} ended while {adapter.name} was loaded")
        self.attested.add(adapter.name)
        self._tell(
            f"{self.name}: {adapter.name} is loaded and attested after {time.monotonic() - begin:.1f} s "
            f"({found.share:.0%} of its change, {found.difference:.3f} nats a token from PEFT)"
        )

    async def _watched(self, began: float) -> str:
        """Wait until the server is dead; gives why."""
        assert self.endpoint is not None
        misses, due = 0, began
        async with Talk(self.endpoint, timeout=self._pace.probe_timeout) as talk:
            while True:
                if (why := self._server.ended()) is not None:
                    return why
                if time.monotonic() >= due:
                    well = await healthy(talk.client, self.endpoint)
                    misses = 0 if well else misses + 1
                    if well is None:
                        return await self._last_words()
                    if misses >= self._pace.misses:
                        return self._server.ended() or f"it was not well {misses} times in a row"
                    due = time.monotonic() + self._pace.probe
                await asyncio.sleep(self._pace.look)

    async def _last_words(self) -> str:
        """Why nothing listens any more; the process that did may take a moment to be gone."""
        self._become(State.DEAD)
        for _ in range(int(_LAST_WORDS / _LOOK)):
            if (why := self._server.ended()) is not None:
                return why
            await asyncio.sleep(_LOOK)
        return "nothing listens there any more"

    def _die(self, why: str) -> None:
        self.endpoint, self.attested, self.why = None, set(), why
        self._become(State.DEAD)
        self.settled.set()
        self._tell(f"{self.name}: dead: {why}")

    def _become(self, state: State) -> None:
        self.state = state
        self._changed()
