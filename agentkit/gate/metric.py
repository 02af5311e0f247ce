"""What can be compared: each a number of a whole suite, computed from sums over units, higher always being better.

A metric is a mean over scenarios, each scenario counting the same and within it each variant; what is spent per
success is the log of a ratio of two such means, its sign turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agentkit.gate.pairs import (
    COST_COLUMN,
    FIRST_STEP,
    GRADED_COLUMN,
    PASSED_COLUMN,
    SECONDS_COLUMN,
    TRIALS_COLUMN,
    Matched,
)
from agentkit.measure.graded import Floats
from agentkit.measure.suite import scenario_weights

Kind = Literal["success", "compounded", "steps", "pass_k", "cost", "seconds"]


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One number of a suite, and which cells and steps it is made of."""

    kind: Kind
    name: str
    """As a person reads it: `observed success`, `step shop/refund/golden#verify`."""
    cells: tuple[Matched, ...]
    members: tuple[tuple[int, ...], ...]
    """For each cell the columns of its steps, for `compounded` and `steps`; empty otherwise."""
    k: int = 1
    """Attempts, for `pass_k`."""

    @property
    def weights(self) -> Floats:
        """Of the cells; they sum to 1."""
        return scenario_weights([cell.scenario for cell in self.cells])

    @property
    def linear(self) -> bool:
        """Whether it is a weighted sum over trials, so that its distribution under exchange is known exactly."""
        return self.kind == "success" or self.kind == "steps"

    @property
    def relative(self) -> bool:
        """Whether differences are on the log scale, as for what is spent per success."""
        return self.kind in ("cost", "seconds")

    def columns(self, position: int) -> tuple[list[int], list[int]]:
        """Of one cell's sums, the columns of passes and of grades that it is made of: the steps', or the outcome's."""
        if self.kind not in ("steps", "compounded"):
            return [PASSED_COLUMN], [GRADED_COLUMN]
        members, steps = self.members[position], len(self.cells[position].steps)
        return [FIRST_STEP + k for k in members], [FIRST_STEP + steps + k for k in members]

    def parts(self, position: int, sums: Floats) -> Floats:
        """One cell's number or numbers from sums of shape [..., C]: shape [..., 1], or [..., 2] (spent, success) where
        it is a ratio. NaN without a graded trial."""
        cell = self.cells[position]
        steps = len(cell.steps)
        if self.kind in ("steps", "compounded"):
            columns = np.array(self.members[position], dtype=np.int64)
            rates = _rate(sums[..., FIRST_STEP + columns], sums[..., FIRST_STEP + steps + columns])
            pooled = rates.prod(axis=-1) if self.kind == "compounded" else rates.mean(axis=-1)
            return np.asarray(pooled[..., None])
        if self.kind == "pass_k":
            return _all_of(sums[..., PASSED_COLUMN], sums[..., GRADED_COLUMN], self.k)[..., None]
        success = _rate(sums[..., PASSED_COLUMN], sums[..., GRADED_COLUMN])
        if self.kind == "success":
            return success[..., None]
        spent = sums[..., COST_COLUMN if self.kind == "cost" else SECONDS_COLUMN]
        return np.stack([_rate(spent, sums[..., TRIALS_COLUMN]), success], axis=-1)

    def combine(self, parts: Floats) -> Floats:
        """The suite's number from weighted sums of the parts, shape [..., P] to [...]."""
        if not self.relative:
            return np.asarray(parts[..., 0])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(parts[..., 1]) - np.log(parts[..., 0]))

    def value(self, sums: Sequence[Floats]) -> Floats:
        """The suite's number from each cell's sums, of shape [..., C] each."""
        weighted = [w * self.parts(c, it) for c, (w, it) in enumerate(zip(self.weights, sums, strict=True))]
        return self.combine(np.sum(weighted, axis=0))


def success(cells: Sequence[Matched], name: str = "observed success") -> Metric:
    """The rate of success, as a user would judge it."""
    return Metric("success", name, tuple(cells), ((),) * len(cells))


def compounded(cells: Sequence[Matched], name: str = "compounded accuracy") -> Metric:
    """The mean over scenarios of the product of the step accuracies. Cells without a step have none and are left
    out."""
    able = tuple(cell for cell in cells if cell.steps)
    return Metric("compounded", name, able, tuple(tuple(range(len(cell.steps))) for cell in able))


def steps(cells: Sequence[Matched], chosen: Sequence[str], name: str) -> Metric:
    """The mean accuracy of some steps, named `scenario/variant#step`; of several in one cell the plain mean."""
    members = [(cell, tuple(k for k, step in enumerate(cell.step_ids) if step in chosen)) for cell in cells]
    able = [(cell, columns) for cell, columns in members if columns]
    return Metric("steps", name, tuple(cell for cell, _ in able), tuple(columns for _, columns in able))


def pass_k(cells: Sequence[Matched], k: int) -> Metric:
    """The chance that all of k attempts at a scenario and variant succeed (Yao et al. 2024)."""
    return Metric("pass_k", f"pass^{k}", tuple(cells), ((),) * len(cells), k)


def per_success(cells: Sequence[Matched], kind: Literal["cost", "seconds"]) -> Metric:
    """What is spent for one success: US dollars, or seconds of conversation."""
    name = "cost per success" if kind == "cost" else "time per success"
    return Metric(kind, name, tuple(cells), ((),) * len(cells))


def _rate(passed: Floats, n: Floats) -> Floats:
    return np.asarray(np.divide(passed, n, out=np.full(np.shape(passed), np.nan), where=n > 0))


def _all_of(passed: Floats, n: Floats, k: int) -> Floats:
    """`C(c, k) / C(n, k)` for arrays; NaN where fewer than k were played."""
    chance = np.ones(np.shape(passed))
    for i in range(k):
        chance = chance * np.maximum(passed - i, 0.0) / np.maximum(n - i, 1.0)
    return np.where(n >= k, chance, np.nan)
