"""Flakiness with its history: a run beside the runs before it that played the same scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from agentkit.measure.flaky import FlakyStep, Occasion, repeated_steps
from agentkit.measure.graded import Cell
from agentkit.measure.rows import cells
from agentkit.records import Run
from agentkit.store import Store

RUNS = 20
"""The newest runs that are looked at."""


@dataclass(frozen=True, slots=True)
class Flakiness:
    """What a run and those before it say of the run's steps."""

    steps: tuple[FlakyStep, ...]
    """The run's steps that disagree with themselves, in it or in an earlier run, those of the highest rate first."""
    runs: tuple[Run, ...]
    """All that were looked at, oldest first; the run itself is the last."""
    repeated: bool
    """Whether any of the run's steps was graded twice in one instance under the same conditions, so that flakiness
    could show. Forks of different turns are no repeats: no step is graded in both."""


def flakiness(store: Store, run: Run, found: Sequence[Cell]) -> Flakiness:
    """Of a run whose cells are `found`."""
    earlier = [it for it in store.runs(RUNS) if it.id != run.id and _before(it, run)]
    earlier.sort(key=lambda it: (it.created_at, it.id))
    seen = [_occasion(it, cell) for it in earlier for cell in cells(store.grades(it.id))]
    seen += [_occasion(run, cell) for cell in found]
    known = {step for cell in found for step in cell.step_ids}
    repeated = [it for it in repeated_steps(seen) if it.step in known]
    told = {it.run for it in seen} | {run.id}
    runs = tuple(it for it in (*earlier, run) if it.id in told)
    return Flakiness(tuple(it for it in repeated if it.flaky), runs, bool(repeated))


def conditions(run: Run, scenario: str) -> str:
    """The same text where everything is the same: agent, scenario and simulated users."""
    users = run.settings.get("user_hashes") or {}
    told = f" {orjson.dumps(users, option=orjson.OPT_SORT_KEYS).decode()}" if users else ""
    return f"{run.agent_hash} {run.scenarios.get(scenario)}{told}"


def _occasion(run: Run, cell: Cell) -> Occasion:
    return Occasion(run.id, conditions(run, cell.scenario), cell)


def _before(it: Run, run: Run) -> bool:
    """Whether a run is history of another: it played one of its scenarios, in the same way and not after it.

    Forks are no history of whole conversations, and conversations that were graded again are none of their own.
    """
    alike = set(it.scenarios.items()) & set(run.scenarios.items())
    again = "regraded_from" in it.settings or run.settings.get("regraded_from") == it.id
    same_way = it.settings.get("fork") == run.settings.get("fork")
    return bool(alike) and same_way and not again and it.created_at <= run.created_at
