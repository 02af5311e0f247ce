"""Graded cells for tests: with the counts one wants, or simulated from known accuracies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agentkit.measure import Cell


def cell(
    grades: Sequence[Sequence[int]] | NDArray[np.int8],
    success: Sequence[int] | None = None,
    *,
    scenario: str = "shop/refund",
    variant: str = "golden",
    instances: Sequence[int] | None = None,
    skills: tuple[str | None, ...] | None = None,
    steps: int | None = None,
    invalid: int = 0,
) -> Cell:
    """A cell with steps `s0`, `s1`, …; a trial succeeds where nothing failed, unless told otherwise."""
    values = np.array(grades, dtype=np.int8).reshape(len(grades), -1 if steps is None else steps)
    outcome = (values != 0).all(axis=1) if success is None else success
    return Cell(
        scenario,
        variant,
        tuple(f"s{k}" for k in range(values.shape[1])),
        values,
        np.array(outcome, dtype=np.int8),
        np.arange(len(values)) if instances is None else np.array(instances, dtype=np.int64),
        invalid,
        skills,
    )


def counted(passed: Sequence[int], n: int, *, scenario: str = "shop/refund", variant: str = "golden") -> Cell:
    """n trials in which step k passed `passed[k]` times, the passes shifted so that failures do not pile
    up."""
    columns = [np.roll(np.arange(n) < x, 3 * k) for k, x in enumerate(passed)]
    return cell(np.column_stack(columns).astype(np.int8), scenario=scenario, variant=variant)


def simulated(
    rng: np.random.Generator,
    accuracy: Sequence[float],
    n: int,
    *,
    scenario: str = "shop/refund",
    variant: str = "golden",
) -> Cell:
    """Independent steps of known accuracy."""
    grades = (rng.random((n, len(accuracy))) < np.array(accuracy)).astype(np.int8)
    return cell(grades, scenario=scenario, variant=variant)
