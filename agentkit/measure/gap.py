"""The gap between what was observed and what the step accuracies compound to, and whether steps fail
together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agentkit.measure.graded import FAILED, PASSED, UNGRADED, Cell, Floats
from agentkit.measure.suite import Figure

PERMUTATIONS = 1_000


@dataclass(frozen=True, slots=True)
class Gap:
    """`log(observed / compounded)`: above 0 the agent recovers, or failures share trials; below 0 errors feed
    errors."""

    log_ratio: Figure
    p_value: float | None
    """Of the hypothesis that within a cell the steps pass independently of each other."""
    p_reason: str | None


class Permuted(NamedTuple):
    """The rate of all-steps-passed in one cell."""

    rate: float
    null: Floats
    """Shape [permutations]: the same rate where each step's results fell on random trials."""


def log_ratio(observed: Figure, compounded: Figure, resampled: tuple[Floats, Floats], level: float) -> Figure:
    """The gap with its bootstrap percentile interval; `resampled` holds (observed, compounded) of each
    resample.

    Where the resamples do not vary at all (nothing ever failed) the interval comes from the ends of the two
    figures, since no variation seen is not certainty. An end is None where it is unbounded.
    """
    if observed.estimate is None or compounded.estimate is None:
        return Figure(None, None, None, None, compounded.reason or observed.reason)
    zero = [name for name, it in (("observed", observed), ("compounded", compounded)) if it.estimate == 0]
    if zero:
        return Figure(None, None, None, None, f"the logarithm is not defined: {' and '.join(zero)} is 0")
    estimate = math.log(observed.estimate / compounded.estimate)
    top, bottom = (rate[(resampled[0] > 0) | (resampled[1] > 0)] for rate in resampled)
    with np.errstate(divide="ignore"):
        sample = np.sort(np.log(top) - np.log(bottom))
    if sample[-1] - sample[0] < 1e-12:
        low, high = _ratio(observed.low, compounded.high), _ratio(observed.high, compounded.low)
        return Figure(estimate, low, high, "interval_ends", _open(low, high))
    tail = (1 - level) / 2 * (len(sample) - 1)
    low, high = _finite(sample[math.floor(tail)]), _finite(sample[math.ceil(len(sample) - 1 - tail)])
    return Figure(estimate, low, high, "bootstrap", _open(low, high))


def permute(cell: Cell, *, seed: int, permutations: int = PERMUTATIONS) -> Permuted | None:
    """All-steps-passed when each step's results are permuted over the trials that reached it; None without
    trials.

    Never permutes across cells, which would take difficulty for coupling. Uses trials without an ungraded
    step, and of an instance's repeats a random one, for repeats are not exchangeable with other trials.
    Permuting a column among N trials moves x passes to a random subset, so the trials still unfailed are a
    hypergeometric count: no trial is shuffled. Trials that reached the same steps form a stratum, and passes
    spread over strata the same way.
    """
    rng = cell.generator(seed, "permute")
    fit = rng.permutation(np.flatnonzero(cell.all_passed != UNGRADED))
    fit = fit[np.unique(cell.instances[fit], return_index=True)[1]]
    if len(fit) == 0:
        return None
    grades = cell.grades[fit]
    masks, sizes = np.unique(np.isin(grades, (PASSED, FAILED)), axis=0, return_counts=True)
    unfailed = np.tile(sizes, (permutations, 1))
    for step in range(grades.shape[1]):
        reached = masks[:, step]
        passes = int((grades[:, step] == PASSED).sum())
        if passes == sizes[reached].sum():
            continue
        spread = rng.multivariate_hypergeometric(sizes[reached], passes, size=permutations)
        left = unfailed[:, reached]
        unfailed[:, reached] = rng.hypergeometric(left, sizes[reached] - left, spread)
    return Permuted(float((cell.all_passed[fit] == PASSED).mean()), unfailed.sum(axis=1) / len(grades))


def independence_test(cells: Sequence[Permuted | None], weights: Floats) -> tuple[float | None, str | None]:
    """Two-sided p-value of the weighted rate of all-steps-passed, or None and why there is none.

    Cells without trials are left out; the weights of the others keep their proportions.
    """
    judged = [(cell, weight) for cell, weight in zip(cells, weights, strict=True) if cell is not None]
    if not judged:
        return None, "no trial to permute"
    null = np.sum([weight * cell.null for cell, weight in judged], axis=0)
    seen = sum(weight * cell.rate for cell, weight in judged)
    if np.ptp(null) < 1e-12:
        return None, "no two steps of a scenario both failed and passed, so there is nothing to permute"
    far = np.abs(null - null.mean()) >= abs(seen - null.mean()) - 1e-12
    return (1 + int(far.sum())) / (1 + len(null)), None


def _ratio(top: float | None, bottom: float | None) -> float | None:
    return math.log(top / bottom) if top and bottom else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _open(low: float | None, high: float | None) -> str | None:
    ends = [name for name, end in (("low", low), ("high", high)) if end is None]
    return f"the {' and '.join(ends)} end is unbounded: too few trials succeeded" if ends else None
