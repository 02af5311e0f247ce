"""Compounded accuracy of one scenario and variant: the product of its step accuracies, with an interval.

Assumes that trials are independent and that each step has one accuracy; that steps fail independently of each
other is not assumed once the counts have been divided by `cluster.coupling`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from agentkit.measure.graded import Floats
from agentkit.measure.proportion import Interval, normal_quantile

DRAWS = 10_000
"""Monte-Carlo draws of one interval: its ends then move by about a tenth of a per cent of probability."""

Prior = Literal["shared", "jeffreys"]
"""`shared` gives each of K steps the failure count 1 / (2K), so that the product as a whole gets one half;
`jeffreys` gives each step one half, which drags a long product down and is kept for comparison."""


def product_interval(
    passed: ArrayLike,
    n: ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    prior: Prior = "shared",
    draws: int = DRAWS,
) -> Interval:
    """Quantiles of a Monte-Carlo product of `Beta(x + 1/2, n - x + 1/(2K))`, widened to hold the estimate.

    Counts of shape [..., K], steps last; the ends have shape [...]. A step without a trial may have any
    accuracy, so the low end is then 0 and the high end is that of the other steps.
    """
    x, total = np.broadcast_arrays(np.asarray(passed, dtype=float), np.asarray(n, dtype=float))
    empty = total == 0
    sample = accuracy_draws(x, total, rng=rng, prior=prior, draws=draws).prod(axis=-1)
    tail = (1 - level) / 2
    low, high = np.quantile(sample, [tail, 1 - tail], axis=0)
    estimate = np.where(empty, 1.0, x / np.where(empty, 1.0, total)).prod(axis=-1)
    unknown = empty.any(axis=-1)
    return Interval(
        np.where(unknown, 0.0, np.minimum(low, estimate)),
        np.where(empty.all(axis=-1), 1.0, np.maximum(high, estimate)),
    )


def accuracy_draws(
    passed: ArrayLike, n: ArrayLike, *, rng: np.random.Generator, prior: Prior = "shared", draws: int = DRAWS
) -> Floats:
    """What each step's accuracy may be, drawn from `Beta(x + 1/2, n - x + 1/(2K))`: shape [..., K] to [draws, ..., K].
    1 for a step without a trial."""
    x, total = np.broadcast_arrays(np.asarray(passed, dtype=float), np.asarray(n, dtype=float))
    success, failure = _shapes(x, total, prior)
    return np.where(total == 0, 1.0, rng.beta(success, failure, size=(draws, *x.shape)))


def beta_means(passed: ArrayLike, n: ArrayLike, *, prior: Prior = "shared") -> Floats:
    """Posterior mean of each step, shape [..., K]: never 0 or 1, so no step erases the rest of a product."""
    x, total = np.broadcast_arrays(np.asarray(passed, dtype=float), np.asarray(n, dtype=float))
    success, failure = _shapes(x, total, prior)
    return np.asarray(success / (success + failure))


def product_variance(accuracy: ArrayLike, n: ArrayLike) -> Floats:
    """Unbiased variance of the product of K independent proportions: `prod p^2 - prod (p^2 - p(1-p)/(n-1))`.

    Shape [..., K] to [...]. A step played once (or worth one trial) shows no variance: it adds none here, and
    the caller must not take the result for certainty.
    """
    p, total = np.broadcast_arrays(np.asarray(accuracy, dtype=float), np.asarray(n, dtype=float))
    several = total > 1
    error = np.where(several, p * (1 - p) / np.where(several, total - 1, 1.0), 0.0)
    unbiased = np.maximum(p**2 - error, 0.0)
    return np.asarray(np.maximum((p**2).prod(axis=-1) - unbiased.prod(axis=-1), 0.0))


def delta_interval(passed: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Interval:
    """The textbook interval on the log of the product, for comparison only: it covers far too little near 0
    and 1, and [0, 1] is all it can say where a step never passed."""
    x, total = np.broadcast_arrays(np.asarray(passed, dtype=float), np.asarray(n, dtype=float))
    possible = (x > 0).all(axis=-1)
    p = np.where(x > 0, x, 1.0) / np.maximum(total, 1.0)
    error = np.sqrt(((1 - p) / (np.maximum(total, 1.0) * p)).sum(axis=-1))
    half = normal_quantile(level) * error
    estimate = p.prod(axis=-1)
    return Interval(
        np.where(possible, estimate * np.exp(-half), 0.0),
        np.where(possible, np.minimum(estimate * np.exp(half), 1.0), 1.0),
    )


def _shapes(x: Floats, n: Floats, prior: Prior) -> tuple[Floats, Floats]:
    share = 1 / (2 * x.shape[-1]) if prior == "shared" else 0.5
    return x + 0.5, n - x + share
