"""The model servers behind the router: started, watched, started again, and told which adapters to serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from agentkit.errors import EngineError
from agentkit.records import AdapterName, Target, TargetKind
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.command import EngineSettings
from agentkit.serve.engine import Endpoint
from agentkit.serve.fleet.prepared import Merged, Prepared, merge, prepare
from agentkit.serve.fleet.replica import Replica
from agentkit.serve.fleet.roster import Roster
from agentkit.serve.fleet.server import ExistingServer, Maker, StartedServer
from agentkit.serve.fleet.state import Pace, ReplicaView, State
from agentkit.serve.upstream import Upstream


class Fleet:
    """Replicas of one model, and what else may answer; an asynchronous context manager that implements `Upstreams`.

    Entering waits until the first replica is ready; the others come when they are. Leaving ends what was started here.
    All methods are to be called from the event loop that it was entered in.

    Args:
        model: the base model, a folder or a name of a model hub.
        name: what the servers call it.
        replicas: how many are started here.
        existing: servers of that model that run already. They are asked and watched, never started or stopped.
        settings: of each server that is started; `max_cpu_loras` is how many adapters can be loaded at once.
        elsewhere: upstream models by the names that routes give them.
        on_progress: is told in words what is going on.

    Raises (on entering):
        EngineError: no replica came up.
    """

    def __init__(
        self,
        model: Path | str,
        *,
        name: str,
        replicas: int = 1,
        existing: Sequence[Endpoint] = (),
        settings: EngineSettings | None = None,
        elsewhere: Mapping[str, Upstream] | None = None,
        pace: Pace | None = None,
        on_progress: Callable[[str], None] | None = None,
        maker: Maker = StartedServer,
    ) -> None:
        self._base = Path(model) if Path(model).is_dir() else None
        self._model, self._name = model, name
        self._settings = settings or EngineSettings()
        self._elsewhere = dict(elsewhere or {})
        self._tell = on_progress or (lambda _: None)
        self._maker = maker
        self._wanted: dict[AdapterName, Prepared] = {}
        self._loads, self._swaps = asyncio.Lock(), asyncio.Lock()
        self._numbers = 0
        self._roster = roster = Roster(self._elsewhere, pace or Pace(), self._tell)
        hot = self._wanted if self._settings.max_loras else None
        for number in range(replicas):
            server = maker(model, name, self._settings)
            roster.replicas.append(roster.make(f"engine-{number}", server, wanted=hot))
        for number, endpoint in enumerate(existing):
            roster.replicas.append(roster.make(f"existing-{number}", ExistingServer(endpoint), wanted=self._wanted))

    async def __aenter__(self) -> Fleet:
        try:
            await self._roster.begin()
        except BaseException:
            await self._roster.end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._roster.end()

    def serving(self, target: Target) -> Sequence[Upstream]:
        """Those that can answer for the target at this moment; empty where none can. Never waits.

        Whoever sends a request enters `using` before it next waits for anything.
        """
        return self._roster.table.get(target, ())

    def serves(self, name: AdapterName) -> bool:
        """Whether requests for the adapter are answered at this moment."""
        return bool(self.serving(Target(TargetKind.ADAPTER, name)))

    def serves_merged(self, name: AdapterName) -> bool:
        """The same by a replica with the adapter in its weights."""
        return any(it.state is State.READY for it in self._roster.merged(name))

    def known(self, target: Target) -> bool:
        """Whether there is such a target at all, up or not."""
        match target.kind:
            case TargetKind.BASE:
                return any(replica.merged is None for replica in self._roster.replicas)
            case TargetKind.ADAPTER:
                return target.name in self.adapters
            case TargetKind.UPSTREAM:
                return target.name in self._elsewhere

    def using(self, upstream: Upstream) -> AbstractContextManager[None]:
        """Count a request as under way: what answers it is not taken away while the block runs."""
        return self._roster.flights.using(upstream)

    @property
    def adapters(self) -> frozenset[AdapterName]:
        """That are to be served, whether or not a replica is ready for each."""
        return self.merged | frozenset(self._wanted)

    @property
    def merged(self) -> frozenset[AdapterName]:
        """That have a replica with them in its weights, whether or not it is ready."""
        return frozenset(it.merged.prepared.name for it in self._roster.merged() if it.merged)

    @property
    def replicas(self) -> tuple[ReplicaView, ...]:
        return self._roster.views()

    async def load(self, adapter: AdapterFolder) -> None:
        """Load an adapter into every replica of the base model, each of which answers for it once it is attested there.

        Replicas that are starting load it when they are ready. Nothing happens where it is loaded already.

        Raises:
            AdapterError: it is not what it was published as, does not fit, or a server does not really serve it: then
                it is taken out of all.
            EngineError: no replica can load it now.
        """
        async with self._loads:
            if adapter.name in self._wanted:
                return
            await self._make_room(adapter.name)
            prepared = await asyncio.to_thread(prepare, adapter, self._base, self._settings.max_lora_rank)
            self._wanted[adapter.name] = prepared
            try:
                await self._load_everywhere(prepared)
            except BaseException:
                await self._take_out(adapter.name, hurry=True)
                raise

    async def unload(self, name: AdapterName) -> None:
        """Serve an adapter no longer: requests under way are waited for, then it is unloaded, and replicas that have it
        in their weights are stopped. Nothing happens where it is not served."""
        await self._take_out(name)
        await self._roster.retire(self._roster.merged(name))

    async def swap(self, adapters: Sequence[AdapterFolder], *, keep: Collection[AdapterName] = ()) -> None:
        """Serve each of these adapters by a replica of its own that has it in its weights, and move over to them.

        The new replicas are started, attested and warmed while the old ones serve; from one moment on they get all
        requests for their adapters. Then replicas of merged adapters that are neither among these nor in `keep` are
        drained and stopped. Where these adapters are loaded elsewhere they stay so, and answer while a new replica is
        down.

        Raises:
            AdapterError: an adapter is not what it was published as, or a server does not really serve it.
            EngineError: a replica did not come up. Either way all is as it was.
        """
        async with self._swaps:
            self._roster.add(await self._raised([it for it in adapters if not self._roster.merged(it.name)]))
            old = self.merged - {adapter.name for adapter in adapters} - set(keep)
            await self._roster.retire([it for name in old for it in self._roster.merged(name)])

    async def _make_room(self, name: AdapterName) -> None:
        """Where there is none, a copy goes of an adapter that a replica with it in its weights answers for by now."""
        if not self._roster.holders():
            raise EngineError(f"adapter {name}: no replica can load adapters (max_loras is 0)")
        room = self._settings.max_cpu_loras
        if room and len(self._wanted) >= room and (spare := sorted(filter(self.serves_merged, self._wanted))):
            await self._take_out(spare[0])
        if room and len(self._wanted) >= room:
            loaded = ", ".join(sorted(self._wanted))
            raise EngineError(
                f"adapter {name}: there is room for {room} adapters, and as many are loaded: {loaded} "
                "(live_adapters of [tool.agentkit.serve.engines])"
            )

    async def _load_everywhere(self, prepared: Prepared) -> None:
        ready = [it for it in self._roster.holders() if it.state is State.READY]
        problems: list[EngineError] = []
        for replica in ready:  # one after the other, so that the others answer meanwhile
            try:
                await replica.take(prepared)
            except EngineError as error:  # it died: once it is up again it loads what is wanted
                problems.append(error)
        if len(problems) == len(ready):
            raise EngineError(
                f"adapter {prepared.name}: no replica can load it now" + "".join(f"; {error}" for error in problems)
            )

    async def _take_out(self, name: AdapterName, *, hurry: bool = False) -> None:
        """Unload a hot adapter everywhere, once its requests are over."""
        if self._wanted.pop(name, None) is None:
            return
        holders = self._roster.holders()
        for replica in holders:
            replica.hide(name)
        if not hurry:
            await self._roster.landed(
                f"{name}", lambda: sum(self._roster.flights.count(it.name, name) for it in holders)
            )
        for replica in holders:
            if name not in self._wanted:  # else it is wanted again
                await replica.drop(name)

    async def _raised(self, adapters: Sequence[AdapterFolder]) -> list[Replica]:
        """New replicas of merged weights, all ready; none is left where one fails."""
        if adapters and self._base is None:
            raise EngineError(f"{self._model} is no folder of a model here, so no adapter can be merged into it")
        fresh: list[Replica] = []
        try:
            for adapter in adapters:
                assert self._base is not None
                prepared = await asyncio.to_thread(prepare, adapter, self._base, 1 << 30)
                merged = await asyncio.to_thread(merge, prepared, self._base, self._name, self._tell)
                fresh.append(self._merged_replica(merged))
                fresh[-1].begin()
                await fresh[-1].settled.wait()
                if fresh[-1].state is not State.READY:
                    raise EngineError(f"a replica of {merged.name} did not come up: {fresh[-1].why}")
        except BaseException:
            await asyncio.gather(*(replica.end() for replica in fresh))
            raise
        return fresh

    def _merged_replica(self, merged: Merged) -> Replica:
        self._numbers += 1
        server = self._maker(merged.model, merged.name, replace(self._settings, max_loras=0, max_cpu_loras=0))
        return self._roster.make(f"merged-{self._numbers}", server, merged=merged)
