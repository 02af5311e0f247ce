"""The numbers of one scenario and variant, computed once for every group that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agentkit.measure.cluster import Counts, count, coupling
from agentkit.measure.gap import Influence, influence
from agentkit.measure.graded import Cell, Floats
from agentkit.measure.independence import Permuted, permute
from agentkit.measure.product import DRAWS, beta_means, product_interval, product_variance
from agentkit.measure.proportion import wilson
from agentkit.measure.resample import Resamples, resample
from agentkit.measure.suite import CellFigure


@dataclass(frozen=True, slots=True, eq=False)
class CellMeasures:
    """Everything about one cell that does not depend on the others."""

    cell: Cell
    steps: Counts
    coupling: float
    """Factor by which failures that share trials widened the variance of the product; 1 is none."""
    compounded: CellFigure
    observed: CellFigure
    all_steps: CellFigure
    means: Floats
    """Shape [K]: Beta means of the step accuracies, for rankings."""
    resamples: Resamples
    influence: Influence
    permuted: Permuted | None


def measure_cell(cell: Cell, *, deterministic: bool, seed: int, level: float = 0.95) -> CellMeasures:
    """All numbers of a cell; `deterministic` makes repeats of an instance count once."""
    cell = cell.ordered()
    steps = count(cell.grades, cell.instances, deterministic=deterministic)
    outcomes = np.column_stack([cell.success, cell.all_passed])
    rates = count(outcomes, cell.instances, deterministic=deterministic)
    shared = coupling(cell.grades, cell.instances)
    return CellMeasures(
        cell,
        steps,
        shared,
        compounded_figure(steps, shared, rng=cell.generator(seed, "product"), level=level),
        rate_figure(rates, 0, level=level),
        rate_figure(rates, 1, level=level),
        beta_means(steps.scaled(steps.effective), steps.effective),
        resample(cell, steps, seed=seed),
        influence(cell),
        permute(cell, seed=seed),
    )


def compounded_figure(
    steps: Counts, coupled: float, *, rng: np.random.Generator, level: float = 0.95, draws: int = DRAWS
) -> CellFigure:
    """Product of step accuracies; `coupled` (see `cluster.coupling`) divides what the trials are worth."""
    worth = steps.effective / coupled
    low, high = product_interval(steps.scaled(worth), worth, rng=rng, level=level, draws=draws)
    variance = product_variance(np.nan_to_num(steps.accuracy), worth)
    return CellFigure(float(steps.accuracy.prod()), float(low), float(high), float(variance))


def rate_figure(counts: Counts, column: int, *, level: float = 0.95) -> CellFigure:
    """One column's rate with its Wilson interval, which is [0, 1] without a judged trial."""
    low, high = wilson(counts.scaled(counts.effective), counts.effective, level=level)
    variance = product_variance(np.nan_to_num(counts.accuracy[:, None]), counts.effective[:, None])
    ends = (counts.accuracy, low, high, variance)
    return CellFigure(*(float(end[column]) for end in ends))
