"""Everything that a report shows, gathered from the store in one reading of the run's trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from agentkit.measure import Cell, Summary, summarize
from agentkit.measure.detours import detour_figures
from agentkit.measure.history import Flakiness, flakiness
from agentkit.measure.rows import cells
from agentkit.measure.waterfall import Fall, waterfall
from agentkit.records import GOLDEN, Run, Verdict
from agentkit.report.baseline import Baseline
from agentkit.report.beside import Beside, beside
from agentkit.report.conversations import Packer
from agentkit.report.index import Index
from agentkit.report.spending import Spending, SpendingTally
from agentkit.store import Store

WATERFALLS = 8
"""Scenarios whose waterfall is drawn: those that lose most."""

_FIRST = (Verdict.INVALID, Verdict.FAILURE, Verdict.OPEN, Verdict.SUCCESS)
"""In this order conversations take the file's room: what went wrong is what people open."""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Where one scenario's golden path loses its accuracy, and where its worst detour does."""

    scenario: str
    variant: str
    falls: tuple[Fall, ...]
    observed: float | None
    """Success of the same trials."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the page is made of."""

    run: Run
    summary: Summary
    waterfalls: tuple[Waterfall, ...]
    flaky: Flakiness
    spending: Spending
    index: dict[str, Any]
    """Of all trials (`Index.document`)."""
    pieces: tuple[Markup, ...]
    """Of the conversations (`Packer`)."""
    left_out: int
    """Conversations that found no room in the file."""
    baseline: Baseline | None = None
    beside: Beside | None = None
    """The baseline's conversations, where it is a run."""


def gather(store: Store, run: Run, *, baseline: Baseline | None = None, room: int) -> Contents:
    """Read a run. Conversations take up to about `room` bytes of the file, failures first; those of a baseline that is
    a run of the store come after all of them."""
    found = cells(store.grades(run.id))
    summary = summarize(found, deterministic=run.deterministic, seed=run.seed)
    if summary.forks is None and any(":" in cell.variant for cell in found):
        summary = replace(summary, detours=detour_figures(store.grades(run.id)))
    packer, spending, index = Packer(room), SpendingTally(), Index(baseline)
    for verdict in _FIRST:
        for trial in store.trials(run.id, verdict=verdict):
            spending.add(trial)
            index.add(trial, packer.add(trial))
    packer.close()
    left_out = packer.left_out
    other = beside(store, baseline.stored, index, packer) if baseline and baseline.stored else None
    return Contents(
        run,
        summary,
        waterfalls(found, summary, run),
        flakiness(store, run, found),
        spending.spending(),
        index.document() | ({"beside": other.index} if other else {}),
        tuple(packer.pieces),
        left_out,
        baseline,
        other,
    )


def waterfalls(found: Sequence[Cell], summary: Summary, run: Run) -> tuple[Waterfall, ...]:
    """Of the scenarios whose golden path loses most: that path, and the detour under which fewest succeed."""
    lost = {(it.scenario, it.variant): 1.0 for it in summary.steps}
    for it in summary.steps:
        lost[it.scenario, it.variant] *= 1.0 if it.accuracy is None else it.accuracy
    by_scenario: dict[str, list[Cell]] = {}
    for cell in found:
        by_scenario.setdefault(cell.scenario, []).append(cell)

    def left(cell: Cell) -> tuple[float, str]:
        return lost[cell.scenario, cell.variant], cell.id

    chosen: list[list[Cell]] = []
    for variants in by_scenario.values():
        golden = [cell for cell in variants if cell.variant == GOLDEN]
        off_path = [cell for cell in variants if cell.variant != GOLDEN and cell.valid]
        if drawn := golden + ([min(off_path, key=left)] if off_path else []):
            chosen.append(drawn)
    chosen.sort(key=lambda pair: min(left(cell) for cell in pair))
    return tuple(_waterfall(cell, run) for pair in chosen[:WATERFALLS] for cell in pair)


def _waterfall(cell: Cell, run: Run) -> Waterfall:
    judged = cell.success[cell.success >= 0]
    falls = waterfall(cell, deterministic=run.deterministic, seed=run.seed)
    return Waterfall(cell.scenario, cell.variant, falls, float(judged.mean()) if len(judged) else None)
