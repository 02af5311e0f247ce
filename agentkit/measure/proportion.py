"""Intervals for one proportion: passed of n, assuming independent trials of equal difficulty.

All take counts that need not be whole, because repeats of an instance count for less than one trial each.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from agentkit.errors import AgentkitError
from agentkit.measure.graded import Floats


class Interval(NamedTuple):
    """Both ends, each of the shape of the counts that went in."""

    low: Floats
    high: Floats


def wilson(passed: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Interval:
    """Score interval (Wilson 1927). Holds its level on average over p, and never has zero width."""
    x, n, empty = _counts(passed, n)
    z = normal_quantile(level)
    centre = (x + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(x * (n - x) / n + z * z / 4)
    low = np.where(x == 0, 0.0, centre - half)  # exactly 0 and 1 at the ends, not 1e-17 away from them
    high = np.where(x == n, 1.0, centre + half)
    return _no_data(Interval(low, high), empty)


def jeffreys(passed: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Interval:
    """Equal-tailed Beta(1/2, 1/2) posterior, reaching 0 or 1 where nothing or everything passed
    (Brown, Cai and DasGupta 2001)."""
    x, n, empty = _counts(passed, n)
    tail = (1 - level) / 2
    low = np.where(x == 0, 0.0, special.betaincinv(x + 0.5, n - x + 0.5, tail))
    high = np.where(x == n, 1.0, special.betaincinv(x + 0.5, n - x + 0.5, 1 - tail))
    return _no_data(Interval(low, high), empty)


def clopper_pearson(passed: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Interval:
    """Exact interval: covers at least its level whatever p is, and usually more (Clopper and Pearson
    1934)."""
    x, n, empty = _counts(passed, n)
    tail = (1 - level) / 2
    low = special.betaincinv(np.maximum(x, 0.5), n - x + 1, tail)
    high = special.betaincinv(x + 1, np.maximum(n - x, 0.5), 1 - tail)
    return _no_data(Interval(np.where(x == 0, 0.0, low), np.where(x == n, 1.0, high)), empty)


def failure_bound(failures: int, n: int, *, level: float = 0.95) -> float:
    """Exact one-sided upper bound of a failure rate; 1 where nothing was played. 0 of 60 gives 4.87 %."""
    x, trials, _ = _counts(failures, n)
    if n == 0 or failures == n:
        return 1.0
    return float(special.betaincinv(x + 1, trials - x, level))


def passes_needed(limit: float, *, level: float = 0.95) -> int:
    """The fewest trials, all passed, whose one-sided bound of the failure rate meets `limit` (0 to 1,
    exclusive)."""
    if not 0 < limit < 1:
        raise AgentkitError(f"a limit of a failure rate lies between 0 and 1, found {limit}")
    return math.ceil(math.log(1 - level) / math.log(1 - limit))


def corrected(rate: ArrayLike, wrong: float, *, most: float = 1.0) -> Floats:
    """The accuracy of what is marked as right at this rate, where a share `wrong` of the marks is the wrong way round
    (Rogan and Gladen 1978); from 0 to `most`."""
    return np.clip((np.asarray(rate, dtype=float) - wrong) / (1 - 2 * wrong), 0.0, most)


def normal_quantile(level: float) -> float:
    """Half-width, in standard errors, of a two-sided normal interval."""
    if not 0 < level < 1:
        raise AgentkitError(f"a confidence level lies between 0 and 1, found {level}")
    return float(special.ndtri((1 + level) / 2))


def _counts(passed: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats, Floats]:
    x, total = np.broadcast_arrays(np.asarray(passed, dtype=float), np.asarray(n, dtype=float))
    if not ((x >= 0) & (x <= total)).all():
        raise AgentkitError("passed must lie between 0 and the number of trials")
    empty = total == 0
    return x, np.where(empty, 1.0, total), empty


def _no_data(interval: Interval, empty: Floats) -> Interval:
    """No trial leaves everything possible: [0, 1]."""
    return Interval(np.where(empty, 0.0, interval.low), np.where(empty, 1.0, interval.high))
