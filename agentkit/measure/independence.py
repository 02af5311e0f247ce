"""Whether the steps of a conversation pass independently of each other, by permutation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agentkit.measure.graded import FAILED, PASSED, UNGRADED, Cell, Floats

PERMUTATIONS = 1_000


class Permuted(NamedTuple):
    """The rate of all-steps-passed in one cell."""

    rate: float
    null: Floats
    """Shape [permutations]: the same rate where each step's results fell on random trials."""


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
        return None, "in no scenario did two steps both pass and fail, so there is nothing to permute"
    far = np.abs(null - null.mean()) >= abs(seen - null.mean()) - 1e-12
    return (1 + int(far.sum())) / (1 + len(null)), None
