"""Politeness to an endpoint: after a 429 all of its requests wait, and fewer go out at once."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakValueDictionary

from agentkit.llm.lost import tell_lost


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, so that a test can hold them still. Chance spreads retries and decides no result."""

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    """Seconds since 1970, to read dates that servers send."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    """Uniform in [0, 1)."""


class Held(Exception):
    """The server asked for a longer pause than the request can afford."""


class Throttle:
    """Shared by all requests to one endpoint.

    Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP does it: there is no limit until
    the server first refuses; then half as many requests may be under way at once, and each answer raises that
    by 1/limit.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._free = asyncio.Event()
        self._held_until = -math.inf
        self.limit = math.inf
        """How many requests may be under way at once."""
        self.under_way = 0

    @property
    def held(self) -> float:
        """Seconds until the next request may be sent; 0 or less when it may be sent now."""
        return self._held_until - self._clock.now()

    @asynccontextmanager
    async def slot(self, patience: float) -> AsyncIterator[None]:
        """One request's turn. Raises Held where the server asked for more than `patience` seconds."""
        await self._turn(patience)
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
            self._wake()

    def hold(self, seconds: float) -> None:
        """The server refused: nobody asks again for so long, and then fewer at once."""
        if self.held <= 0:  # One refusal, however many requests it meets.
            self.limit = max(1.0, min(self.limit, self.under_way) / 2)
        self._held_until = max(self._held_until, self._clock.now() + seconds)

    def answered(self) -> None:
        """The server answered: a little more may be asked at once."""
        self.limit += 1 / self.limit

    async def _turn(self, patience: float) -> None:
        while True:
            if (held := self.held) > 0:
                if held > patience:
                    raise Held(f"the endpoint asked for a pause of {held:.0f} s")
                tell_lost(held)
                await self._clock.sleep(held)
            elif self.under_way >= self.limit:
                began = self._clock.now()
                await self._free.wait()
                tell_lost(self._clock.now() - began)
            else:
                return

    def _wake(self) -> None:
        """Let everyone who waits look again; a fresh event, so that whoever waits anew waits for the next."""
        self._free.set()
        self._free = asyncio.Event()


_Throttles = WeakValueDictionary[str, Throttle]
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Throttles] = WeakKeyDictionary()


def shared_throttle(origin: str) -> Throttle:
    """The running event loop's throttle for a server (`https://host:port`), kept while a model uses it."""
    throttles = _shared.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    return throttles.setdefault(origin, Throttle())
