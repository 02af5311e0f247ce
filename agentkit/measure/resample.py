"""Bootstrap of a cell: its trials drawn again with replacement, repeats of one instance staying together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agentkit.measure.cluster import Counts, by_instance
from agentkit.measure.graded import FAILED, PASSED, Cell, Floats
from agentkit.measure.product import beta_means

RESAMPLES = 1_000
_CHUNK = 2_000_000
"""Trials drawn at a time, which bounds memory to some tens of megabytes whatever the run's size."""


class Resamples(NamedTuple):
    """The same cell in B resamples."""

    product: Floats
    """Shape [B]: product of the step accuracies."""
    success: Floats
    """Shape [B]: rate of observed success."""
    means: Floats
    """Shape [B, K]: Beta means of the steps, for rankings."""


def resample(cell: Cell, steps: Counts, *, seed: int, resamples: int = RESAMPLES) -> Resamples:
    """Resamples of the cell. A column that is empty in a resample keeps the accuracy of the whole cell (NaN
    where that is unknown too)."""
    columns = np.column_stack([cell.grades, cell.success])
    passed = (columns == PASSED).astype(float)
    graded = passed + (columns == FAILED)
    units = by_instance(np.hstack([passed, graded]), cell.instances)
    sums = _draw_sums(units, cell.generator(seed, "resample"), resamples)
    x, n = np.split(sums, 2, axis=1)
    seen = graded.sum(axis=0)
    whole = np.where(seen > 0, passed.sum(axis=0) / np.maximum(seen, 1), np.nan)
    accuracy = np.where(n > 0, x / np.maximum(n, 1), whole)
    worth = steps.effective / np.maximum(steps.n, 1)
    return Resamples(accuracy[:, :-1].prod(axis=1), accuracy[:, -1], beta_means(x[:, :-1] * worth, n[:, :-1] * worth))


def _draw_sums(units: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    """Column sums over as many units as there are, drawn with replacement: [units, C] to [resamples, C]."""
    count, columns = units.shape
    if count == 0:
        return np.zeros((resamples, columns))
    sums = np.empty((resamples, columns))
    rows = max(1, _CHUNK // count)
    for start in range(0, resamples, rows):
        chunk = min(rows, resamples - start)
        drawn = rng.integers(0, count, size=(chunk, count))
        drawn += np.arange(chunk)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=chunk * count).reshape(chunk, count)
        sums[start : start + chunk] = weights.astype(float) @ units
    return sums
