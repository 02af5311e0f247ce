"""The list of all trials, column by column: what the page sorts, filters and searches without opening any of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentkit.records import Trial, TrialKey, Verdict
from agentkit.report.baseline import Baseline
from agentkit.report.conversations import MARKS

_VERDICTS = {Verdict.SUCCESS: "S", Verdict.FAILURE: "F", Verdict.INVALID: "I", Verdict.OPEN: "O"}
_BASE = {True: "S", False: "F", None: "?"}


class Index:
    """Takes trials in any order; its document has them in the run's order."""

    def __init__(self, baseline: Baseline | None) -> None:
        self._baseline = baseline
        self._cells: dict[tuple[str, str], dict[str, int]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._played: dict[TrialKey, tuple[str, Mapping[str, str]]] = {}

    def played(self, key: TrialKey) -> tuple[str, Mapping[str, str]] | None:
        """How a trial that was added ended with the baseline and here (`SF`: it got worse), and its steps' marks; None
        where the baseline did not play it."""
        return self._played.get(key)

    def add(self, trial: Trial, place: int | None) -> None:
        key = trial.key
        cell = key.scenario, key.variant
        steps = self._cells.setdefault(cell, {})
        marks = {steps.setdefault(it.step, len(steps)): MARKS[it.status] for it in trial.steps}
        before = self._of_baseline(key)
        if before != " ":
            self._played[key] = before + _VERDICTS[trial.verdict], {it.step: MARKS[it.status] for it in trial.steps}
        self._rows.append(
            (
                trial.index,
                self._numbers.setdefault(cell, len(self._numbers)),
                _VERDICTS[trial.verdict],
                "".join(marks.get(k, ".") for k in range(len(steps))),
                key.instance,
                key.repeat,
                trial.cost if trial.cost is None else round(trial.cost, 6),
                round(trial.duration, 3) if trial.started_at else None,
                trial.usage.total,
                trial.model_calls,
                trial.stop.value,
                trial.fault and trial.fault.value,
                trial.reason[:300] if trial.verdict is Verdict.INVALID else None,
                place,
                list(trial.fork.serves) if trial.fork else None,
                before,
            )
        )

    def document(self) -> dict[str, Any]:
        """Cells with their steps, and one list for each column; a row's marks follow the steps of its cell."""
        columns: list[Any] = [list(column) for column in zip(*sorted(self._rows), strict=True)] or [[]] * len(_COLUMNS)
        found = dict(zip(_COLUMNS, columns, strict=True))
        for name in ("verdict", "base"):
            found[name] = "".join(found[name])
        for name in ("cost", "seconds", "fault", "reason", "place", "serves"):
            found[name] = _thin(found[name])
        stops = sorted(set(found["stop"]))
        found["stop"] = [stops.index(stop) for stop in found["stop"]]
        return {
            "cells": [[scenario, variant, list(steps)] for (scenario, variant), steps in self._cells.items()],
            "stops": stops,
            "trials": found,
        }

    def _of_baseline(self, key: TrialKey) -> str:
        if self._baseline is None or key not in self._baseline.outcomes:
            return " "
        return _BASE[self._baseline.outcomes[key]]


_COLUMNS = (
    "index",
    "cell",
    "verdict",
    "steps",
    "instance",
    "repeat",
    "cost",
    "seconds",
    "tokens",
    "calls",
    "stop",
    "fault",
    "reason",
    "place",
    "serves",
    "base",
)


def _thin(column: list[Any]) -> list[Any] | None:
    """None for a column that says nothing."""
    return column if any(value is not None for value in column) else None
