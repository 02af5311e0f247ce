"""Cohen's kappa: how far two judges agree beyond what chance gives, with an interval that holds for few items."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from agentkit.measure import wilson
from agentkit.measure.graded import Floats
from agentkit.measure.proportion import normal_quantile


@dataclass(frozen=True, slots=True)
class Kappa:
    """The agreement of two judges."""

    n: int
    """Items that both judged."""
    agreed: int
    estimate: float | None
    """Cohen's kappa, -1 to 1; None where it is not defined: no item, or both always said one and the same."""
    error: float | None
    """Its large-sample standard error (Fleiss, Cohen and Everitt 1969); 0 where they never differed."""
    low: float
    high: float
    level: float

    @property
    def raw(self) -> tuple[float, float]:
        """Wilson's interval of the share of items on which they agree."""
        low, high = wilson(self.agreed, self.n, level=self.level)
        return float(low), float(high)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        low, high = self.raw
        share = {"estimate": self.agreed / self.n if self.n else None, "low": low, "high": high}
        return {
            "n": self.n,
            "agreed": self.agreed,
            "share": share,
            "kappa": {"estimate": self.estimate, "low": self.low, "high": self.high, "level": self.level},
        }


def kappa(table: ArrayLike, *, level: float = 0.95) -> Kappa:
    """Kappa of a table of counts, shape [categories, categories], row: the first judge's, column: the second's.

    `(p - e) / (1 - e)` with p the share on the diagonal and e what the margins give by chance (Cohen 1960). The
    interval is normal, from the standard error of Fleiss, Cohen and Everitt (1969), after half an item is added to each
    cell. Without it, an interval of 95 % holds 34 to 95 % of the time at 10 to 50 items, and has no width where the
    judges never differ; with it, 88 to 99 %, mostly 93 and more (simulated; a test repeats a part).
    """
    counts = np.asarray(table, dtype=float)
    n, agreed = int(counts.sum()), int(np.trace(counts))
    estimate, error = _estimate(counts) if n else (None, None)
    centre, spread = _estimate(counts + 0.5)
    if estimate is None or centre is None or spread is None:
        return Kappa(n, agreed, None, None, -1.0, 1.0, level)
    half = normal_quantile(level) * spread
    low, high = max(-1.0, min(estimate, centre - half)), min(1.0, max(estimate, centre + half))
    return Kappa(n, agreed, estimate, error, low, high, level)


def kappa_of(pairs: Iterable[tuple[bool, bool]], *, level: float = 0.95) -> Kappa:
    """Kappa of verdicts of the same items, each by a first and a second judge."""
    return kappa(table_of(list(pairs)), level=level)


def table_of(pairs: Sequence[tuple[bool, bool]]) -> Floats:
    """Counts, shape [2, 2]: wrong and right by the first judge, wrong and right by the second."""
    table = np.zeros((2, 2))
    for first, second in pairs:
        table[int(first), int(second)] += 1
    return table


def _estimate(counts: Floats) -> tuple[float | None, float | None]:
    n = counts.sum()
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, chance = float(np.trace(p)), float(rows @ columns)
    if 1 - chance < 1e-12:
        return None, None
    k = (observed - chance) / (1 - chance)
    on = np.diag(p) * (1 - (rows + columns) * (1 - k)) ** 2
    off = (1 - k) ** 2 * p * (columns[:, None] + rows[None, :]) ** 2
    variance = on.sum() + off.sum() - np.trace(off) - (k - chance * (1 - k)) ** 2
    return k, math.sqrt(max(0.0, variance) / n) / (1 - chance)
