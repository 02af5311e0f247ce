"""What one key may do: so many requests a minute, so many at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agentkit.records import ApiKey
from agentkit.serve.router.refused import Refused


@dataclass(slots=True)
class _Spent:
    tokens: float
    """Requests that may be made at once; refilled evenly up to a minute's worth."""
    at: float
    running: int = 0


class KeyUse:
    """What each key has used. `share`: the part of every limit that is this process's, where others have it, too."""

    def __init__(self, *, share: float = 1.0, now: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._now = now
        self._spent: dict[str, _Spent] = {}

    @contextmanager
    def entered(self, key: ApiKey) -> Iterator[None]:
        """One request of the key's. Raises Refused (429) where it has used up what it may."""
        if key.limits.per_minute is None and key.limits.concurrent is None:
            yield
            return
        spent = self._spent.get(key.name)
        if spent is None:
            spent = self._spent[key.name] = _Spent(self._most(key.limits.per_minute), self._now())
        self._admit(key, spent)
        spent.running += 1
        try:
            yield
        finally:
            spent.running -= 1

    def _admit(self, key: ApiKey, spent: _Spent) -> None:
        concurrent, minute = key.limits.concurrent, key.limits.per_minute
        if concurrent is not None and spent.running >= self._most(concurrent):
            raise _too_many(f"this key may have {concurrent} requests answered at the same time", 1.0)
        if minute is None:
            return
        now, most = self._now(), self._most(minute)
        spent.tokens = min(most, spent.tokens + (now - spent.at) * most / 60)
        spent.at = now
        if spent.tokens < 1:
            raise _too_many(f"this key may make {minute} requests a minute", (1 - spent.tokens) * 60 / most)
        spent.tokens -= 1

    def _most(self, limit: int | None) -> float:
        return max(1.0, (limit or 0) * self._share)


class RetryBudget:
    """Retries that may be made: a share of the requests so far, and a few besides; trouble is not to be multiplied."""

    def __init__(self, share: float, most: float = 100.0) -> None:
        self._share = share
        self._most = most
        self._left = most

    def asked(self) -> None:
        """A new request."""
        self._left = min(self._most, self._left + self._share)

    def take(self) -> bool:
        """One retry, if there is one left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _too_many(message: str, retry_after: float) -> Refused:
    return Refused(429, "rate_limit_exceeded", message, kind="rate_limit_error", retry_after=retry_after)
