"""Requests under way, counted by what answers them, so that nothing is taken away beneath one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from agentkit.serve.upstream import Upstream


class Flights:
    """Counts; to be used from one event loop."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._landed = asyncio.Event()

    @contextmanager
    def using(self, upstream: Upstream) -> Iterator[None]:
        """Count a request as under way while the block runs."""
        key = (upstream.name, upstream.model)
        self._counts[key] += 1
        try:
            yield
        finally:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]
                self._landed.set()

    def count(self, replica: str, model: str | None = None) -> int:
        """Of one replica, all or those to one of its models."""
        if model is not None:
            return self._counts.get((replica, model), 0)
        return sum(count for (name, _), count in self._counts.items() if name == replica)

    async def over(self, left: Callable[[], int], seconds: float) -> int:
        """Wait until `left()` is zero, but no longer than so many seconds; gives how many are left."""

        async def wait() -> None:
            while left():
                self._landed.clear()
                await self._landed.wait()

        with suppress(TimeoutError):
            await asyncio.wait_for(wait(), seconds)
        return left()
