"""The seconds that an agent may take for one trial."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agentkit.llm.lost import lost_time
from agentkit.play.trouble import TimeLimitReached


class TimeLimit:
    """Runs only while the agent moves, and not for what a move loses to a provider's trouble (`agentkit.llm.lost`)."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = self._left = float("inf") if seconds is None else seconds

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """One move. Raises TimeLimitReached, after cancelling it, when no time is left."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._left

        def give_back(seconds: float) -> None:
            nonlocal until
            with suppress(RuntimeError):  # too late: the limit was hit, or a task that outlives its move is telling
                limit.reschedule(until + seconds)
                until += seconds

        listening = lost_time.set(give_back)
        try:
            async with asyncio.timeout_at(until) as limit:
                yield
        except TimeoutError:
            if not limit.expired():  # the agent's own
                raise
            raise TimeLimitReached(f"the agent took more than {self._seconds:g} s for the trial") from None
        finally:
            lost_time.reset(listening)
            self._left = until - loop.time()
