"""The gap between what was observed and what the step accuracies compound to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agentkit.measure.cluster import by_instance, residuals
from agentkit.measure.graded import Cell, Floats
from agentkit.measure.priority import birnbaum
from agentkit.measure.suite import Figure, t_quantile


@dataclass(frozen=True, slots=True)
class Gap:
    """`log(observed / compounded)`: above 0 the agent recovers, or failures share trials; below 0 errors feed
    errors."""

    log_ratio: Figure
    p_value: float | None
    """Of the hypothesis that within a cell the steps pass independently of each other."""
    p_reason: str | None


class Influence(NamedTuple):
    """What each instance of a cell does to the cell's rates, shape [instances] each; the sums are 0."""

    success: Floats
    product: Floats


def influence(cell: Cell) -> Influence:
    """First-order influences on the rate of success and on the product of the step accuracies."""
    accuracy, steps = residuals(cell.grades)
    _, success = residuals(cell.success[:, None])
    product = steps @ birnbaum(accuracy)
    sums = by_instance(np.column_stack([success, product]), cell.instances)
    return Influence(sums[:, 0], sums[:, 1])


def log_ratio(
    observed: Figure,
    compounded: Figure,
    resampled: tuple[Floats, Floats],
    influences: Sequence[Influence],
    weights: Floats,
    *,
    level: float = 0.95,
) -> Figure:
    """The gap with its interval; `resampled` holds (observed, compounded) of each resample.

    Each end is the farther of the bootstrap percentile, which knows that the gap is skewed, and a t interval
    from the influences, which does not collapse where few trials hold all the failures. Where nothing varied
    at all the ends come from the two figures' intervals, since no variation seen is not certainty. An end is
    None where it is unbounded.
    """
    if observed.estimate is None or compounded.estimate is None:
        return Figure(None, None, None, None, compounded.reason or observed.reason)
    zero = [name for name, it in (("observed", observed), ("compounded", compounded)) if it.estimate == 0]
    if zero:
        return Figure(None, None, None, None, f"the logarithm is not defined: {' and '.join(zero)} is 0")
    estimate = math.log(observed.estimate / compounded.estimate)
    half = _half_width(observed.estimate, compounded.estimate, influences, weights, level)
    if half < 1e-12:
        low, high = _ratio(observed.low, compounded.high), _ratio(observed.high, compounded.low)
        return Figure(estimate, low, high, "interval_ends", _open(low, high))
    bottom, top = _percentiles(*resampled, level)
    low, high = _finite(min(bottom, estimate - half)), _finite(max(top, estimate + half))
    return Figure(estimate, low, high, "bootstrap", _open(low, high))


def _half_width(
    observed: float, compounded: float, influences: Sequence[Influence], weights: Floats, level: float
) -> float:
    """Of the t interval; cells and their instances are independent."""
    variance, degrees = 0.0, 0
    for it, weight in zip(influences, weights, strict=True):
        units = len(it.success)
        if units > 1:
            effect = weight * (it.success / observed - it.product / compounded)
            variance += float((effect**2).sum()) * units / (units - 1)
            degrees += units - 1
    return t_quantile(degrees, level) * math.sqrt(variance) if degrees else 0.0


def _percentiles(observed: Floats, compounded: Floats, level: float) -> tuple[float, float]:
    """Of the log ratio over resamples, infinite where too many resamples hold no success or no pass."""
    some = (observed > 0) | (compounded > 0)
    with np.errstate(divide="ignore"):
        sample = np.sort(np.log(observed[some]) - np.log(compounded[some]))
    tail = (1 - level) / 2 * (len(sample) - 1)
    return float(sample[math.floor(tail)]), float(sample[math.ceil(len(sample) - 1 - tail)])


def _ratio(top: float | None, bottom: float | None) -> float | None:
    return math.log(top / bottom) if top and bottom else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _open(low: float | None, high: float | None) -> str | None:
    ends = [name for name, end in (("low", low), ("high", high)) if end is None]
    return f"the {' and '.join(ends)} end is unbounded: too few trials succeeded" if ends else None
