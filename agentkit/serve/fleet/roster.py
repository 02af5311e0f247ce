"""The replicas of a fleet, what they answer for, and what is under way at them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from agentkit.errors import EngineError
from agentkit.records import AdapterName, Target
from agentkit.serve.fleet.flight import Flights
from agentkit.serve.fleet.prepared import Merged, Prepared
from agentkit.serve.fleet.replica import Replica
from agentkit.serve.fleet.server import ExistingServer, Server
from agentkit.serve.fleet.state import Pace, ReplicaView, State
from agentkit.serve.fleet.table import upstreams_of
from agentkit.serve.upstream import Upstream


class Roster:
    """Who is there. `table` is replaced whenever a replica changes, and never changed in place."""

    def __init__(self, elsewhere: Mapping[str, Upstream], pace: Pace, tell: Callable[[str], None]) -> None:
        self.replicas: list[Replica] = []
        self.flights = Flights()
        self.table: Mapping[Target, tuple[Upstream, ...]] = {}
        self._elsewhere = elsewhere
        self._pace = pace
        self._tell = tell
        self.refresh()

    def refresh(self) -> None:
        self.table = upstreams_of(self.replicas, self._elsewhere)

    def make(
        self,
        name: str,
        server: Server,
        *,
        merged: Merged | None = None,
        wanted: Mapping[AdapterName, Prepared] | None = None,
    ) -> Replica:
        """A replica that is not yet among them; `merged` and `wanted` as it has them."""
        pace = self._pace.of_existing() if isinstance(server, ExistingServer) else self._pace
        return Replica(name, server, pace=pace, changed=self.refresh, tell=self._tell, merged=merged, wanted=wanted)

    def add(self, replicas: Iterable[Replica]) -> None:
        """From now on they are given requests, as far as they are ready."""
        self.replicas += replicas
        self.refresh()

    async def begin(self) -> None:
        """Start all, and wait until the first is ready. Raises EngineError once none can be expected to be."""
        for replica in self.replicas:
            replica.begin()
        waits = {asyncio.create_task(it.settled.wait()): it for it in self.replicas}
        left = set(waits)
        try:
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                if any(waits[task].state is State.READY for task in done):
                    return
        finally:
            for task in left:
                task.cancel()
        if self.replicas:
            raise EngineError("no replica came up:\n" + "\n".join(f"{it.name}: {it.why}" for it in self.replicas))

    async def end(self) -> None:
        """Stop all that was started here, at once."""
        await asyncio.gather(*(replica.end() for replica in self.replicas))
        self.refresh()

    def holders(self) -> list[Replica]:
        """That can load adapters."""
        return [it for it in self.replicas if it.wanted is not None]

    def merged(self, name: AdapterName | None = None) -> list[Replica]:
        """That have an adapter in their weights, one of this name or any, and are to keep it."""
        there = [it for it in self.replicas if it.merged and it.state is not State.DRAINING]
        return [it for it in there if it.merged and name in (None, it.merged.prepared.name)]

    async def retire(self, replicas: Sequence[Replica]) -> None:
        """Drain replicas, stop them, and forget them."""
        for replica in replicas:
            replica.drain()
        for replica in replicas:
            await self.landed(replica.name, partial(self.flights.count, replica.name))
            await replica.end()
            if replica in self.replicas:
                self.replicas.remove(replica)

    async def landed(self, what: str, left: Callable[[], int]) -> None:
        """Wait until nothing is under way any more, as long as the pace allows; what is left then is told."""
        if rest := await self.flights.over(left, self._pace.drain):
            self._tell(f"{what}: {rest} requests were still under way after {self._pace.drain:.0f} s")

    def views(self) -> tuple[ReplicaView, ...]:
        return tuple(
            ReplicaView(
                name=it.name,
                state=it.state,
                base_url=it.endpoint.base_url if it.endpoint else "",
                adapters=tuple(sorted(it.attested)),
                merged=it.merged is not None,
                restarts=it.restarts,
                in_flight=self.flights.count(it.name),
                why=it.why,
            )
            for it in self.replicas
        )
