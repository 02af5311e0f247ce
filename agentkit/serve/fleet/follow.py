"""Keeps a fleet serving what the routes need: adapters are loaded before they are wanted, and go once nobody does."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Set
from typing import Protocol

from agentkit.errors import AgentkitError
from agentkit.records import AdapterName, Revision, TargetKind
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.fleet.fleet import Fleet

_TRY_AGAIN = 30.0
"""Seconds after which an adapter that could not be served is tried once more."""


class Routes(Protocol):
    """What is needed, as the routes have it."""

    @property
    def current(self) -> Revision:
        """The table as it is now."""

    def adapters_needed(self) -> Set[AdapterName]:
        """Of the table as it is, and of conversations that are still on an earlier one."""


class Follower:
    """One fleet and the routes that it follows.

    Args:
        find: gives an adapter's folder, verified; raises AgentkitError.
        merge: whether what is promoted gets a replica of its own, with the adapter in its weights.
        tell: is told in words of what could not be served, once for each try.
    """

    def __init__(
        self,
        fleet: Fleet,
        routes: Routes,
        find: Callable[[AdapterName], AdapterFolder],
        *,
        merge: bool = False,
        interval: float = 0.5,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._fleet = fleet
        self._routes = routes
        self._find = find
        self._merge = merge
        self._interval = interval
        self._tell = tell
        self._failed: dict[tuple[str, AdapterName], float] = {}

    @property
    def refused(self) -> frozenset[AdapterName]:
        """That are needed and could not be served when it was tried last."""
        return frozenset(name for what, name in self._failed if what == "load")

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(self._interval)

    async def step(self) -> None:
        """Bring the fleet to what is needed now, as far as it can be."""
        needed = frozenset(self._routes.adapters_needed())
        self._failed = {key: at for key, at in self._failed.items() if key[1] in needed}
        for name in sorted(needed - self._fleet.adapters):
            await self._attempt("load", name, self._load)
        if self._merge:
            for name in sorted((self._live() & self._fleet.adapters) - self._fleet.merged):
                await self._attempt("merge", name, self._swap)
        for name in sorted(self._fleet.adapters - frozenset(self._routes.adapters_needed())):
            await self._fleet.unload(name)

    def _live(self) -> frozenset[AdapterName]:
        targets = [route.live for route in self._routes.current.routes]
        return frozenset(AdapterName(it.name) for it in targets if it.kind is TargetKind.ADAPTER)

    async def _load(self, name: AdapterName) -> None:
        await self._fleet.load(await asyncio.to_thread(self._find, name))

    async def _swap(self, name: AdapterName) -> None:
        folder = await asyncio.to_thread(self._find, name)
        await self._fleet.swap([folder], keep=frozenset(self._routes.adapters_needed()))

    async def _attempt(self, what: str, name: AdapterName, do: Callable[[AdapterName], Awaitable[None]]) -> None:
        key = what, name
        if time.monotonic() - self._failed.get(key, -math.inf) < _TRY_AGAIN:
            return
        try:
            await do(name)
        except AgentkitError as error:
            self._failed[key] = time.monotonic()
            self._tell(f"adapter {name} is not served: {error}")
        else:
            self._failed.pop(key, None)
