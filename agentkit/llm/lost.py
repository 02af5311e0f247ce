"""Time lost to a provider's trouble, so that whoever has a time limit need not pay for it.

A request tells the listener of its context how many seconds a failed attempt has taken and the coming pause will take,
*before* it pauses, so that a deadline can still be moved; so it does before it waits because the endpoint had refused
other requests. How long it stood in the queue of a throttled endpoint it tells afterwards. An attempt under way counts
as the listener's own time until it is known to have failed. What requests lose side by side adds up.

A context is a task's own: listeners of concurrent tasks know nothing of each other, while tasks that are started under
a listener inherit it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

lost_time: ContextVar[Callable[[float], None] | None] = ContextVar("lost_time", default=None)
"""The listener; it is told seconds."""


def tell_lost(seconds: float) -> None:
    """These seconds are a provider's fault."""
    if (listener := lost_time.get()) is not None:
        listener(seconds)
