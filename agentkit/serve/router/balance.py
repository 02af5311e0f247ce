"""Which upstream takes a request: the least busy of those that are well, and whoever must wait waits in line."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from types import TracebackType
from typing import Self

from agentkit.config import RouterSettings
from agentkit.records import Target
from agentkit.serve.router.refused import failed, shed
from agentkit.serve.upstream import Upstream, Upstreams

_LOOK_AGAIN = 0.05
"""Seconds between two looks for an upstream that nobody told of, because it has just come up."""

Using = Callable[[Upstream], AbstractContextManager[object]]


@dataclass(slots=True)
class Health:
    """What is known of one server."""

    in_flight: int = 0
    failures: int = 0
    """In a row."""
    ejections: int = 0
    """In a row; each is twice as long as the one before."""
    ejected_until: float | None = None


@dataclass(slots=True, eq=False)
class _Waiting:
    avoid: Collection[str]
    given: asyncio.Future[Lease] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Lease:
    """An upstream that is in use from the moment it is picked to the end of the block; whoever drains it is told."""

    def __init__(self, balance: Balance, upstream: Upstream, using: Using | None) -> None:
        self.upstream = upstream
        self.ok: bool | None = None
        """What the request says of the upstream: well, failing, or nothing."""
        self._balance = balance
        self._using = None if using is None else using(upstream)
        if self._using is not None:
            self._using.__enter__()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._using is not None:
            self._using.__exit__(None, None, None)
        self._balance.give_back(self.upstream, ok=self.ok)


class Balance:
    """Hands upstreams out and takes them back. `using` is told of each that is in use, as long as it is.

    An upstream that failed several times in a row is left alone for a while that doubles each time, and then tried with
    one request; but never more than half of those that serve a target. Where all that could answer are busy, or none is
    there just now, a request waits: first come, first served. Each target has a line of its own, so that one without
    room keeps nobody from another; those that share an upstream are served in the order they came.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        settings: RouterSettings,
        *,
        using: Using | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstreams = upstreams
        self._settings = settings
        self._using = using
        self._now = now
        self._health: dict[str, Health] = {}
        self._lines: dict[Target, OrderedDict[int, _Waiting]] = {}
        """Target → those that wait for it, by when they came; no line is empty."""
        self._came = count()
        self._looking: asyncio.Task[None] | None = None
        self.ejections = 0
        self.sheds = 0

    @property
    def waiting(self) -> int:
        """Requests in all lines."""
        return sum(map(len, self._lines.values()))

    def health(self, name: str) -> Health:
        """What is known of an upstream, by its name."""
        return self._health.setdefault(name, Health())

    async def lease(self, target: Target, avoid: Collection[str]) -> Lease:
        """An upstream for the target, if possible none of `avoid`.

        Raises Refused: 429 where the line is too long or does not move, 503 where nothing serves the target.
        """
        found = None if target in self._lines else self._pick(target, avoid)
        return found or await self._wait(target, avoid)

    def give_back(self, upstream: Upstream, *, ok: bool | None) -> None:
        """A request is over; `ok` is False where the upstream failed, None where that says nothing of it."""
        health = self.health(upstream.name)
        health.in_flight -= 1
        if ok:
            health.failures = health.ejections = 0
            health.ejected_until = None
        elif ok is False:
            health.failures += 1
            over = health.ejected_until is None or self._now() >= health.ejected_until
            if over and health.failures >= self._settings.eject_after:  # else what failed was under way by then
                self._eject(health)
        self._hand_out()

    def _eject(self, health: Health) -> None:
        pause = min(self._settings.eject_longest, self._settings.eject_time * 2**health.ejections)
        health.ejected_until = self._now() + pause
        health.ejections = min(health.ejections + 1, 30)
        self.ejections += 1

    def _pick(self, target: Target, avoid: Collection[str]) -> Lease | None:
        serving = self._upstreams.serving(target)
        well = self._well(serving)
        open_ = [it for it in well if self.health(it.name).in_flight < self._settings.in_flight]
        fresh = [it for it in open_ if it.name not in avoid] or open_
        if not fresh:
            return None
        least = min(self.health(it.name).in_flight for it in fresh)
        found = random.choice([it for it in fresh if self.health(it.name).in_flight == least])
        self.health(found.name).in_flight += 1
        return Lease(self, found, self._using)

    def _well(self, serving: Collection[Upstream]) -> list[Upstream]:
        """Those that are not ejected; and as many of the others, soonest due first, as it takes to have half of all."""
        now = self._now()
        well, ejected = [], []
        for upstream in serving:
            health = self.health(upstream.name)
            until = health.ejected_until
            if until is None or (until <= now and health.in_flight == 0):  # one request tries whether it is well again
                well.append(upstream)
            else:
                ejected.append((until, upstream))
        missing = (len(serving) + 1) // 2 - len(well)
        if missing > 0:
            ejected.sort(key=lambda it: it[0])
            well += [upstream for _, upstream in ejected[:missing]]
        return well

    async def _wait(self, target: Target, avoid: Collection[str]) -> Lease:
        if not self._upstreams.known(target):
            raise failed(503, "no_such_target", f"the route leads to {str(target)!r}, which is not there")
        if (ahead := len(self._lines.get(target, ()))) >= self._settings.queue:
            self.sheds += 1
            raise shed(f"{ahead} requests are waiting already", self._settings.queue_time / 2)
        came, waiting = next(self._came), _Waiting(avoid)
        self._lines.setdefault(target, OrderedDict())[came] = waiting
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(self._patience(target)):
                return await waiting.given
        except TimeoutError:
            if waiting.given.done() and not waiting.given.cancelled():  # at the very last moment
                return waiting.given.result()
            raise self._in_vain(target) from None
        except asyncio.CancelledError:
            if waiting.given.done() and not waiting.given.cancelled():
                waiting.given.result().__exit__(None, None, None)
            raise
        finally:
            self._leave(target, came)

    def _patience(self, target: Target) -> float:
        """Seconds to wait: longer where nothing serves the target yet, because it is only just being loaded."""
        settings = self._settings
        return settings.queue_time if self._upstreams.serving(target) else max(settings.queue_time, settings.load_time)

    def _in_vain(self, target: Target) -> Exception:
        if not self._upstreams.serving(target):
            return failed(503, "no_upstream", f"nothing that serves {str(target)!r} is up just now")
        self.sheds += 1
        return shed(f"no upstream had room within {self._settings.queue_time:g} s", self._settings.queue_time)

    def _hand_out(self) -> None:
        """Give whoever waits what there is, in the order they came."""
        if not self._lines:
            return
        heads = [(next(iter(line)), target) for target, line in self._lines.items()]
        heapify(heads)
        while heads:
            came, target = heappop(heads)
            line = self._lines[target]
            waiting = line[came]
            if not waiting.given.done():  # else it has just given up
                found = self._pick(target, waiting.avoid)
                if found is None:
                    continue  # and so there is none for those behind it
                waiting.given.set_result(found)
            self._leave(target, came)
            if line:
                heappush(heads, (next(iter(line)), target))

    def _leave(self, target: Target, came: int) -> None:
        """Nothing changes where it is out of the line already."""
        if line := self._lines.get(target):
            line.pop(came, None)
            if not line:
                del self._lines[target]

    async def _look(self) -> None:
        while self._lines:
            await asyncio.sleep(_LOOK_AGAIN)
            self._hand_out()
