"""Availability and latency as promised, and what is left of the budget of errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agentkit.config import RouterSettings
from agentkit.records import Exchange
from agentkit.serve.status import is_failed, is_of_the_caller
from agentkit.store import SeenExchange

_FEWEST = 20
"""Requests below which nothing is called a breach: one failure of three says little."""
_SLICES = 60


@dataclass(slots=True)
class Tally:
    """Requests of a time, but for those that their caller spoilt or broke off."""

    all: int = 0
    failed: int = 0
    """Not answered, for a reason that is not the caller's."""
    slow: int = 0
    """Answered, and later than promised."""

    def count(self, *, failed: bool, slow: bool) -> None:
        """One more."""
        self.all += 1
        self.failed += failed
        self.slow += slow

    def __iadd__(self, other: Tally) -> Tally:
        self.all += other.all
        self.failed += other.failed
        self.slow += other.slow
        return self


@dataclass(frozen=True, slots=True)
class Budget:
    """How one objective stands."""

    name: str
    objective: float
    """Share of requests that must be good."""
    bad: int
    of: int

    @property
    def burn(self) -> float:
        """Bad requests as a multiple of what the objective allows: above 1, it is missed."""
        return self.bad / self.of / (1 - self.objective) if self.of else 0.0

    @property
    def left(self) -> float:
        """Of the budget of errors; 1 untouched, below 0 overdrawn."""
        return 1 - self.burn

    @property
    def breached(self) -> bool:
        return self.of >= _FEWEST and self.burn > 1

    def __str__(self) -> str:
        share = 1 - self.bad / self.of if self.of else 1.0
        return f"{self.name} {share:.2%} of {self.of} requests, objective {self.objective:.2%}"


def budgets(tally: Tally, settings: RouterSettings) -> tuple[Budget, Budget]:
    """Availability and latency; latency among what was answered at all."""
    return (
        Budget("availability", settings.availability, tally.failed, tally.all),
        Budget("latency", settings.latency_share, tally.slow, tally.all - tally.failed),
    )


class Objectives:
    """The tally of the last `window` seconds, in slices that are forgotten one by one."""

    def __init__(self, settings: RouterSettings, *, now: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now = now
        self._width = settings.window / _SLICES
        self._slices: dict[int, Tally] = {}

    def count(self, status: int, seconds: float) -> None:
        """A request that was let in: its status, and the time to the answer or the first piece of it. What the caller
        itself did wrong, or broke off, counts on neither side."""
        if is_of_the_caller(status):
            return
        place = int(self._now() / self._width)
        tally = self._slices.get(place)
        if tally is None:
            self._slices = {at: it for at, it in self._slices.items() if at > place - _SLICES}
            tally = self._slices[place] = Tally()
        failed = is_failed(status)
        tally.count(failed=failed, slow=not failed and seconds > self._settings.latency)

    def budgets(self) -> tuple[Budget, Budget]:
        """Availability and latency as they stand."""
        oldest = int(self._now() / self._width) - _SLICES
        total = Tally()
        for place, tally in self._slices.items():
            if place > oldest:
                total += tally
        return budgets(total, self._settings)

    def breaches(self) -> list[str]:
        """The objectives that are missed now, in words; empty where none is."""
        return [str(it) for it in self.budgets() if it.breached]


def breaches(exchanges: Iterable[Exchange | SeenExchange], settings: RouterSettings) -> list[str]:
    """The same from captured exchanges, for whoever is no part of the router and chooses them: no older than
    `settings.window` seconds. What the caller itself did wrong, or broke off, counts on neither side."""
    tally = Tally()
    for it in exchanges:
        if is_of_the_caller(it.status):
            continue
        waited = it.latency if it.first_token is None else it.first_token
        failed = is_failed(it.status) or it.error is not None
        tally.count(failed=failed, slow=not failed and waited > settings.latency)
    return [str(it) for it in budgets(tally, settings) if it.breached]
