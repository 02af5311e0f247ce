"""Keeps a fleet serving what the routes need: adapters are loaded before they are wanted, and go once nobody does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass
from typing import Protocol

from agentkit.errors import AgentkitError
from agentkit.records import AdapterName, Revision, Target, TargetKind
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.fleet.fleet import Fleet
from agentkit.serve.fleet.state import told
from agentkit.serve.fleet.table import BASE

_TRIES = 3
"""After which a canary that could not be served in any of them is ended."""


class Routes(Protocol):
    """What is needed, as the routes have it."""

    @property
    def current(self) -> Revision:
        """The table as it is now."""

    def adapters_needed(self) -> Set[AdapterName]:
        """Of the table as it is, and of conversations that are still on an earlier one."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """What could not be done."""

    at: float
    """When it was tried last; seconds of the monotonic clock."""
    tries: int
    """In a row, without those in which the base model was not served either."""


class Follower:
    """One fleet and the routes that it follows.

    Args:
        find: gives an adapter's folder, verified; raises AgentkitError.
        merge: whether what is promoted gets a replica of its own, with the adapter in its weights.
        canaries: whether canaries get one, too.
        interval: seconds between two looks at the routes.
        try_again: seconds after which what could not be done is tried once more.
        end_canary: is told of a canary that could not be served time and again, and why; blocking, in a thread.
        tell: is told in words of what could not be served, once for each try.
    """

    def __init__(
        self,
        fleet: Fleet,
        routes: Routes,
        find: Callable[[AdapterName], AdapterFolder],
        *,
        merge: bool = False,
        canaries: bool = False,
        interval: float = 0.5,
        try_again: float = 30.0,
        end_canary: Callable[[AdapterName, str], None] = lambda *_: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._fleet = fleet
        self._routes = routes
        self._find = find
        self._merge = merge
        self._canaries = canaries
        self._interval = interval
        self._try_again = try_again
        self._end_canary = end_canary
        self._tell = tell
        self._failed: dict[tuple[str, AdapterName], _Failed] = {}
        self._under_way: dict[tuple[str, AdapterName], asyncio.Task[None]] = {}

    @property
    def refused(self) -> frozenset[AdapterName]:
        """That are needed and could not be served when it was tried last."""
        return frozenset(name for what, name in self._failed if what == "load")

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                try:
                    self.step()
                except AgentkitError as error:  # the store is not there just now
                    self._tell(f"the routes cannot be followed: {error}")
                await asyncio.sleep(self._interval)
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def step(self) -> None:
        """Begin all that brings the fleet to what is needed now; what takes its time holds nothing else up."""
        needed, served = frozenset(self._routes.adapters_needed()), self._fleet.adapters
        self._failed = {key: it for key, it in self._failed.items() if key[1] in needed}
        for name in sorted(needed - served):
            self._begin("load", name, self._load)
        if self._merge:
            for name in sorted((self._to_merge() & served) - self._fleet.merged):
                self._begin("merge", name, self._swap)
        for name in sorted(served - needed):
            self._begin("unload", name, self._fleet.unload)

    def _to_merge(self) -> frozenset[AdapterName]:
        routes = self._routes.current.routes
        targets = [route.live for route in routes]
        targets += [route.canary for route in routes if self._canaries and route.canary is not None]
        return frozenset(AdapterName(it.name) for it in targets if it.kind is TargetKind.ADAPTER)

    async def _load(self, name: AdapterName) -> None:
        await self._fleet.load(await asyncio.to_thread(self._find, name))

    async def _swap(self, name: AdapterName) -> None:
        folder = await asyncio.to_thread(self._find, name)
        await self._fleet.swap([folder], keep=frozenset(self._routes.adapters_needed()))

    def _begin(self, what: str, name: AdapterName, do: Callable[[AdapterName], Awaitable[None]]) -> None:
        key = what, name
        failed = self._failed.get(key)
        due = failed is None or time.monotonic() - failed.at >= self._try_again
        if key not in self._under_way and due:
            self._under_way[key] = asyncio.create_task(self._attempt(key, do), name=f"{what} {name}")

    async def _attempt(self, key: tuple[str, AdapterName], do: Callable[[AdapterName], Awaitable[None]]) -> None:
        what, name = key
        up = bool(self._fleet.serving(BASE))
        try:
            await do(name)
        except Exception as error:  # whatever it is: the next try may go well, and the others go on
            why = told(error)
            self._tell(f"{what} adapter {name}: {why}")
            await self._count(key, why, up=up)
        else:
            self._failed.pop(key, None)
        finally:
            del self._under_way[key]

    async def _count(self, key: tuple[str, AdapterName], why: str, *, up: bool) -> None:
        """Count a try that failed; where it was one too many for a canary, all that waits for it waits no longer."""
        what, name = key
        before = self._failed.get(key)
        tries = (0 if before is None else before.tries) + up
        self._failed[key] = _Failed(time.monotonic(), tries)
        canary = Target(TargetKind.ADAPTER, name) in [it.canary for it in self._routes.current.routes]
        needed = what == "load" or (what == "merge" and self._canaries)
        if canary and needed and tries >= _TRIES:
            said, _, _ = why.partition("\n")
            try:
                await asyncio.to_thread(self._end_canary, name, f"{name} could not be served in {tries} tries: {said}")
            except AgentkitError as error:  # after the next try once more
                self._tell(f"canary {name} could not be ended: {error}")
