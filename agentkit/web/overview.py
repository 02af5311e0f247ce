"""The newest runs with their numbers: cheap enough to be asked for every two seconds while a run is playing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from agentkit.measure import summarize
from agentkit.measure.rows import Tally, cells
from agentkit.measure.suite import Figure
from agentkit.records import Run, RunId
from agentkit.store import Store

NEWEST = 50
"""Runs that are shown."""

_BUDGET = 1.0
"""Seconds that one request may spend on numbers; what is left comes with the next."""

_REST = 10.0
"""A run in progress is measured again after so many times what measuring it took."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the trials that were played until then say."""

    played: int
    compounded: Figure
    observed: Figure
    invalid: int
    variants: frozenset[tuple[str, str]]
    """Scenario and variant of every cell."""


@dataclass(frozen=True, slots=True)
class Line:
    """One run as it stands."""

    run: Run
    played: int
    figures: Figures | None
    """None where nothing was played, or where nobody had the time yet; of fewer trials while a run is playing."""

    @property
    def pending(self) -> bool:
        """Whether newer numbers are still to come."""
        return self.played > 0 and (self.figures is None or self.figures.played != self.played)


@dataclass(frozen=True, slots=True)
class _Measured:
    figures: Figures
    until: float
    """The time before which it is not worth measuring again."""


class Overview:
    """Measures each run once for every state it is seen in. Safe to share between threads."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[RunId, _Measured] = {}
        self._lock = Lock()

    def lines(self) -> list[Line]:
        """The newest runs, newest first."""
        with self._lock:
            runs = self._store.runs(NEWEST)
            played = self._store.played([run.id for run in runs])
            began = self._clock()
            lines = [Line(run, played[run.id], self._figures(run, played[run.id], began)) for run in runs]
            self._known = {run.id: self._known[run.id] for run in runs if run.id in self._known}
            return lines

    def _figures(self, run: Run, played: int, began: float) -> Figures | None:
        known, now = self._known.get(run.id), self._clock()
        current = known is not None and known.figures.played == played
        resting = known is not None and run.status == "running" and now < known.until
        if played and not current and not resting and now - began < _BUDGET:
            figures = _measured(self._store, run, played)
            took = self._clock() - now
            known = self._known[run.id] = _Measured(figures, now + took * (1 + _REST))
        return known.figures if known is not None else None


def _measured(store: Store, run: Run, played: int) -> Figures:
    """Trials that are recorded meanwhile may be in it; `played` is what was asked for, so that it is measured again."""
    tally = Tally()
    found = summarize(cells(tally.over(store.grades(run.id))), deterministic=run.deterministic, seed=run.seed)
    return Figures(
        played,
        found.all.compounded,
        found.all.observed,
        tally.invalid.total(),
        frozenset((it.id, it.variant) for it in found.scenarios),
    )
