"""Everything that `agentkit serve` runs, put together from a project's configuration, and taken apart again."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agentkit.collect.capture import Capture
from agentkit.collect.pseudonym import pseudonym
from agentkit.config import Config
from agentkit.errors import ConfigError, UsageError
from agentkit.records import AdapterName, Target, TargetKind
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.command import is_cpu_build
from agentkit.serve.fleet import Fleet, Follower, fleet_of
from agentkit.serve.keys import KeyRing
from agentkit.serve.registered import find_adapters
from agentkit.serve.router import KeyDoor, OpenDoor, Parts, Router
from agentkit.serve.router.admin import admin_of
from agentkit.serve.router.client import place_of
from agentkit.serve.router.judged import feedback_of
from agentkit.serve.router.server import RouterServer
from agentkit.serve.routes import CanaryWatch, RouteTable, end_canaries
from agentkit.serve.turbo import speculation
from agentkit.serve.upstream import Upstream
from agentkit.store import Store
from agentkit.tracing import Tracing

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a command line says beside the configuration; None is what the configuration says."""

    keys: bool = True
    """Whether callers need a key."""
    replicas: int | None = None
    """Model servers that are started here; 0: none."""
    turbo: str | None = None
    """`auto`, `on` or `off`."""
    open_metrics: bool = True
    """Whether `/metrics` wants no key."""


@dataclass(frozen=True, slots=True)
class Served:
    """A router and what it stands before, all running."""

    router: Router
    fleet: Fleet
    table: RouteTable
    watch: CanaryWatch


class Reachable:
    """What the fleet serves, and what it is about to: an adapter that a route names is loaded within moments, and its
    first requests wait for it instead of being turned away."""

    def __init__(self, fleet: Fleet, table: RouteTable, follower: Follower) -> None:
        self._fleet = fleet
        self._table = table
        self._follower = follower

    def serving(self, target: Target) -> Sequence[Upstream]:
        return self._fleet.serving(target)

    def known(self, target: Target) -> bool:
        if self._fleet.known(target):
            return True
        return (
            target.kind is TargetKind.ADAPTER
            and target.name not in self._follower.refused
            and target.name in self._table.adapters_needed()
        )


@asynccontextmanager
async def served(config: Config, store: Store, options: Options, tell: Tell) -> AsyncIterator[Served]:
    """Engines, routes, capture and the canaries' watch, all running; the router is ready to be listened with.

    Raises:
        ConfigError, EngineError: something is not configured as it can run, or no model server came up.
    """
    fleet = await _fleet(config, store, options, tell)
    table = await asyncio.to_thread(RouteTable.open, store)
    find, tracing = partial(_adapter, config, store), Tracing.of_server()
    try:
        async with fleet:
            merge, always = _merges(config, fleet), config.serve.engines.merge == "always"
            serves = fleet.serves_merged if merge and always else fleet.serves
            await asyncio.to_thread(table.begin_once_up, serves)
            ends = partial(end_refused, store, table, tell)
            follower = Follower(fleet, table, find, merge=merge, canaries=always, end_canary=ends, tell=tell)
            watch = CanaryWatch(store, table, config.serve.canary)
            following = asyncio.create_task(follower.run(), name="agentkit-follow")
            await watch.start()
            try:
                upstreams = Reachable(fleet, table, follower)
                parts = _parts(config, store, options, table, upstreams, tracing, fleet)
                yield Served(Router(parts), fleet, table, watch)
            finally:
                await watch.stop()
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
    finally:
        await asyncio.to_thread(table.close)
        await asyncio.to_thread(tracing.close)


def end_refused(store: Store, table: RouteTable, tell: Tell, name: AdapterName, why: str) -> None:
    """End the canary of an adapter that cannot be served, for every router of the store; what was changed since it
    was set waits for it no longer. Raises StoreError."""
    made = end_canaries(store, Target(TargetKind.ADAPTER, name), by="serve", why=why)
    table.refresh()
    tell(f"revision {made.number}: {made.why}")


async def run(
    config: Config, store: Store, sock: socket.socket, options: Options, tell: Tell, ready: Callable[[Served], None]
) -> None:
    """Serve on a socket until a signal ends it; `ready` is called once everything runs."""
    async with served(config, store, options, tell) as found:
        await RouterServer(found.router, partial(ready, found)).serve(sockets=[sock])


def check_open(host: str) -> None:
    """Raises UsageError where a router that wants no key would be reached from elsewhere."""
    if not is_loopback(host):
        raise UsageError(f"--no-auth: only on this machine's own address, found --host {host}; expected 127.0.0.1")


def check_address(place: str, url: str) -> None:
    """Raises ConfigError, which names the place, where the URL is no address of an HTTP server."""
    try:
        place_of(url)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _fleet(config: Config, store: Store, options: Options, tell: Tell) -> Fleet:
    for name, settings in config.upstreams.items():
        check_address(f"[tool.agentkit.upstreams.{name}]", settings.base_url)
    replicas = config.serve.engines.replicas if options.replicas is None else options.replicas
    mode = options.turbo or config.serve.engines.turbo
    speculative = await speculation(config, store, mode, replicas=replicas, tell=tell) if replicas else None
    return await asyncio.to_thread(fleet_of, config, replicas=replicas, speculative=speculative, on_progress=tell)


def _merges(config: Config, fleet: Fleet) -> bool:
    """Whether what is promoted gets a replica of its own."""
    word = config.serve.engines.merge
    started = any(not it.name.startswith("existing") for it in fleet.replicas)
    return started and (word == "always" or (word == "auto" and is_cpu_build()))


def _adapter(config: Config, store: Store, name: AdapterName) -> AdapterFolder:
    return find_adapters([name], Path(config.adapters), store)[0]


def _parts(
    config: Config,
    store: Store,
    options: Options,
    table: RouteTable,
    upstreams: Reachable,
    tracing: Tracing,
    fleet: Fleet,
) -> Parts:
    ring = KeyRing(store)
    elsewhere: Collection[str] = config.upstreams
    return Parts(
        table=table,
        upstreams=upstreams,
        door=KeyDoor(ring) if options.keys else OpenDoor(ring),
        settings=config.serve.router,
        capture=Capture(config.collect, store),
        tracing=tracing,
        pseudonym=partial(pseudonym, folder=config.collect.folder),
        using=fleet.using,
        admin=admin_of(store, elsewhere, config.serve.canary, table.refresh),
        feedback=feedback_of(store),
        open_metrics=options.open_metrics,
    )
