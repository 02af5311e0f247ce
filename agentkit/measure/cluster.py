"""How much the trials of a cell are worth: repeats of one instance, and steps that fail in the same
trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentkit.errors import AgentkitError
from agentkit.measure.graded import FAILED, PASSED, Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Results of each column (a step, or the outcome), shape [K] each."""

    passed: Floats
    n: Floats
    """Graded trials; not reached and ungraded ones are in no denominator."""
    effective: Floats
    """How many independent trials they are worth: n / DEFF, at least 1 where n is."""

    @property
    def accuracy(self) -> Floats:
        """NaN where there is no trial."""
        return np.asarray(np.where(self.n > 0, self.passed / np.maximum(self.n, 1), np.nan))

    def scaled(self, worth: Floats) -> Floats:
        """What passed, had there been `worth` trials of the same accuracy; 0 where there is none."""
        return np.asarray(self.passed / np.maximum(self.n, 1) * worth)


def count(values: NDArray[np.int8], instances: Ints, *, deterministic: bool) -> Counts:
    """Counts of grades of shape [trials, K].

    Repeats of an instance are a cluster. They count once where the agent is deterministic; otherwise their
    correlation is estimated for each column.
    """
    passed = (values == PASSED).astype(float)
    graded = passed + (values == FAILED)
    x, n = passed.sum(axis=0), graded.sum(axis=0)
    sizes = by_instance(graded, instances)
    rho = np.ones(len(n)) if deterministic else intraclass_correlation(by_instance(passed, instances), sizes)
    return Counts(x, n, n / design_effect(sizes, rho))


def by_instance(values: Floats, instances: Ints) -> Floats:
    """Sums over the trials of each instance: shape [trials, K] to [instances, K]; untouched without
    repeats."""
    unique, position = np.unique(instances, return_inverse=True)
    if len(unique) == len(instances):
        return values
    sums = np.zeros((len(unique), values.shape[1]))
    np.add.at(sums, position, values)
    return sums


def intraclass_correlation(passed: ArrayLike, sizes: ArrayLike) -> Floats:
    """One-way analysis of variance over clusters, clipped to 0 to 1. Shapes [clusters, K] to [K].

    1 where the data cannot tell (one cluster, or no variation at all): repeats then count once. 0 where no
    cluster holds a repeat. (Ridout, Demetrio and Firth 1999, the ANOVA estimator.)
    """
    x, m = np.asarray(passed, dtype=float), np.asarray(sizes, dtype=float)
    n, clusters = m.sum(axis=0), (m > 0).sum(axis=0)
    mean = x / np.maximum(m, 1)
    overall = x.sum(axis=0) / np.maximum(n, 1)
    between = (m * (mean - overall) ** 2).sum(axis=0) / np.maximum(clusters - 1, 1)
    within = (m * mean * (1 - mean)).sum(axis=0) / np.maximum(n - clusters, 1)
    typical = (n - (m**2).sum(axis=0) / np.maximum(n, 1)) / np.maximum(clusters - 1, 1)
    total = between + (typical - 1) * within
    known = (total > 0) & (clusters > 1)
    rho = np.divide(between - within, total, out=np.ones(total.shape), where=known)
    return np.where(n > clusters, np.clip(rho, 0.0, 1.0), 0.0)


def design_effect(sizes: ArrayLike, rho: ArrayLike) -> Floats:
    """`1 + (m - 1) rho`, m being the size of the cluster of a random trial (Kish 1965). Shapes [clusters, K]
    to [K]."""
    m = np.asarray(sizes, dtype=float)
    typical = (m**2).sum(axis=0) / np.maximum(m.sum(axis=0), 1)
    return np.asarray(1 + np.maximum(typical - 1, 0) * np.asarray(rho, dtype=float))


def coupling(grades: NDArray[np.int8], instances: Ints) -> float:
    """By how much steps that fail together widen the variance of the product of their accuracies; 1 or more.

    The variance of the log product is that of the sum of the steps' influences `(y - p) / (n p)`; here it is
    compared with the variance which the same influences would give were the steps independent. Grades of
    shape [trials, K].
    """
    accuracy, steps = residuals(grades)
    influence = np.where(accuracy > 0, steps / np.where(accuracy > 0, accuracy, 1.0), 0.0)
    influence = by_instance(influence, instances)
    independent = float((influence**2).sum())
    together = float((influence.sum(axis=1) ** 2).sum())
    return max(1.0, together / independent) if independent > 0 else 1.0


def residuals(grades: NDArray[np.int8]) -> tuple[Floats, Floats]:
    """Each column's accuracy p (0 without a trial), shape [K], and `(y - p) / n` of each trial, shape
    [trials, K].

    The latter are 0 where a trial is in no denominator, and sum to 0 over trials.
    """
    passed, graded = grades == PASSED, (grades == PASSED) | (grades == FAILED)
    n = np.maximum(graded.sum(axis=0), 1)
    accuracy = passed.sum(axis=0) / n
    return accuracy, np.where(graded, (passed - accuracy) / n, 0.0)


def cluster_error(values: ArrayLike, clusters: ArrayLike, *, corrected: bool = True) -> float:
    """Standard error of a mean over trials whose clusters (scenarios, instances) are what was sampled.

    `sqrt(sum over clusters of (sum of residuals)^2) / n`, times `sqrt(C / (C - 1))` where `corrected`
    (Miller 2024, arXiv 2411.00640). Raises `AgentkitError` for fewer than two clusters.
    """
    y = np.asarray(values, dtype=float)
    labels, position = np.unique(np.asarray(clusters), return_inverse=True)
    if len(labels) < 2:
        raise AgentkitError(f"a clustered standard error needs two clusters or more, found {len(labels)}")
    residuals = np.bincount(position, weights=y - y.mean())
    factor = len(labels) / (len(labels) - 1) if corrected else 1.0
    return float(np.sqrt(factor * (residuals**2).sum()) / len(y))
