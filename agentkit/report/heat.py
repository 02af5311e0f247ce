"""The heat map: for each scenario, how each detour does to each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from agentkit.measure import Summary
from agentkit.measure.summary import ScenarioCounts, StepFigure
from agentkit.records import GOLDEN


def heat_of(accuracy: float | None) -> int:
    """0 where nothing failed, to 10 where everything did, by the square root of what is lost.

    A step that fails one time in ten is far from one that never does. Any failure is 1 at least.
    """
    lost = 0.0 if accuracy is None else 1 - accuracy
    return 0 if lost == 0 else max(1, round(10 * sqrt(lost)))


@dataclass(frozen=True, slots=True)
class Box:
    """One step under one detour. `figures` are more than one where a detour's own steps share a box."""

    figures: tuple[StepFigure, ...]

    @property
    def passed(self) -> int:
        return sum(it.passed for it in self.figures)

    @property
    def reached(self) -> int:
        return sum(it.reached for it in self.figures)

    @property
    def accuracy(self) -> float | None:
        return self.passed / self.reached if self.reached else None

    @property
    def heat(self) -> int:
        return heat_of(self.accuracy)


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One variant."""

    variant: str
    counts: ScenarioCounts
    compounded: float | None
    """Product of the accuracies of its steps."""
    boxes: tuple[Box | None, ...]
    """By the map's steps; None where the variant does not have the step."""
    own: Box | None
    """The steps that only this detour has."""

    @property
    def success(self) -> float | None:
        judged = self.counts.valid - self.counts.ungraded
        return self.counts.successes / judged if judged else None


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One scenario."""

    scenario: str
    steps: tuple[str, ...]
    """Of the golden path, in playing order."""
    rows: tuple[HeatRow, ...]
    """The golden path first."""

    @property
    def off_path(self) -> bool:
        return any(row.variant != GOLDEN for row in self.rows)


def heat_maps(summary: Summary) -> tuple[HeatMap, ...]:
    """One for each scenario, in the order of their names."""
    figures: dict[str, dict[str, list[StepFigure]]] = {}
    for figure in summary.steps:
        figures.setdefault(figure.scenario, {}).setdefault(figure.variant, []).append(figure)
    counts = {(it.id, it.variant): it for it in summary.scenarios}
    return tuple(_map(scenario, variants, counts) for scenario, variants in figures.items())


def _map(
    scenario: str, variants: dict[str, list[StepFigure]], counts: dict[tuple[str, str], ScenarioCounts]
) -> HeatMap:
    first = variants.get(GOLDEN) or next(iter(variants.values()))
    steps = tuple(figure.step for figure in first)
    rows = (_row(counts[scenario, variant], steps, found) for variant, found in variants.items())
    return HeatMap(scenario, steps, tuple(rows))


def _row(counts: ScenarioCounts, steps: Sequence[str], figures: Sequence[StepFigure]) -> HeatRow:
    by_step = {figure.step: figure for figure in figures}
    compounded: float | None = 1.0
    for figure in figures:
        compounded = None if compounded is None or figure.accuracy is None else compounded * figure.accuracy
    boxes = tuple(Box((by_step[step],)) if step in by_step else None for step in steps)
    own = tuple(figure for figure in figures if figure.step not in steps)
    return HeatRow(counts.variant, counts, compounded, boxes, Box(own) if own else None)
