"""Whether an LLM judge agrees with the experts less than it did, without more false alarms the longer one looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.collect.labels.kappa import Kappa, kappa_of

ALARMS = 0.05
"""Probability that a judge that never changes is flagged at all, however many windows there come to be."""


@dataclass(frozen=True, slots=True)
class Window:
    """So many labelled answers, in the order of time."""

    since: str
    until: str
    """RFC 3339; of its first and its last answer."""
    agreement: Kappa
    """Of the experts with the judge."""
    p: float | None
    """One-sided p-value of Fisher's exact test that it agrees no less than all windows before; None of the first."""
    limit: float | None
    """Below this `p` is a fall: 6 / (pi k)^2 of `ALARMS` at the k-th comparison, which add up to it without end."""

    @property
    def fell(self) -> bool:
        return self.p is not None and self.limit is not None and self.p < self.limit

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "since": self.since,
            "until": self.until,
            **self.agreement.document(),
            "p": self.p,
            "limit": self.limit,
            "fell": self.fell,
        }


def drift(verdicts: Sequence[tuple[str, bool, bool]], window: int) -> tuple[Window, ...]:
    """Whole windows, oldest first, each held against all answers before it.

    Args:
        verdicts: (RFC 3339 in UTC, the experts' verdict, the judge's), in any order; of answers drawn by lot, since
            those that a queue puts first are the ones on which a judge errs.
        window: answers in each.
    """
    order = sorted(verdicts, key=lambda it: it[0])
    found: list[Window] = []
    agreed_before = 0
    for k in range(len(order) // window):
        part = order[k * window : (k + 1) * window]
        agreement = kappa_of((expert, judge) for _, expert, judge in part)
        p = fisher_less(agreement.agreed, window, agreed_before, k * window) if k else None
        limit = ALARMS * 6 / (math.pi * k) ** 2 if k else None
        found.append(Window(part[0][0], part[-1][0], agreement, p, limit))
        agreed_before += agreement.agreed
    return tuple(found)


def fisher_less(x1: int, n1: int, x0: int, n0: int) -> float:
    """Exact one-sided p-value of an `x1 / n1` as small as it is, or smaller, where both rates are one (Fisher 1935)."""
    total, successes = n1 + n0, x1 + x0
    ways = math.comb(total, n1)
    fewest = max(0, successes - n0)
    return sum(math.comb(successes, x) * math.comb(total - successes, n1 - x) for x in range(fewest, x1 + 1)) / ways
