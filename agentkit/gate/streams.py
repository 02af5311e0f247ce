"""Two streams that run beside each other with unequal shares, such as a canary and what it is compared with.

Outcomes come in blocks of so many of either side; sizes may change from block to block, as long as they are fixed
before a block's outcomes are known. The evidence may be looked at after every block (`evidence.py` says why).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentkit.gate.evidence import no_worse_path
from agentkit.measure.graded import Floats, Ints

DROPS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.45)
"""Differences among which the bets are spread evenly. More of them find none sooner: each has a smaller part."""
_LEAST = 0.005
"""No rate is predicted to be closer to 0 or 1 than this."""
_HALVINGS = 14
"""Of the interval [-1, 1]: a bound is exact to 0.0001."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Outcomes in blocks; every array has the shape [blocks]."""

    base_passed: Ints
    base: Ints
    """Outcomes of the block on this side, one at least."""
    candidate_passed: Ints
    candidate: Ints

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int, int]]) -> Blocks:
        """From (passed, outcomes) of the base and of the candidate, block by block."""
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return cls(*columns)

    def __len__(self) -> int:
        return len(self.base)

    @property
    def differences(self) -> Floats:
        """Candidate's rate less base's in each block, -1 to 1."""
        return np.asarray(self.candidate_passed / self.candidate - self.base_passed / self.base)


def drop_path(blocks: Blocks) -> Floats:
    """Log wealth after each block, against the hypothesis that both sides pass with one and the same probability within
    each block; that probability may change from one block to the next.

    Bets that the candidate passes less often: `prod p_a(y_a) prod p_b(y_b) / prod p_0(y)`, where `p_0 = (n_a p_a + n_b
    p_b) / (n_a + n_b)`. For blocks of any two sizes its expectation is at most 1, since the expected factors of both
    sides have the weighted mean 1, and their weighted geometric mean is no greater (Turner, Ly and Grunwald 2024).
    `p_a` comes from earlier blocks alone, `p_b` is `p_a` less a drop, and wealth is the mean over `DROPS`.
    """
    if len(blocks) == 0:
        return np.zeros(0)
    drops = np.array(DROPS)[:, None]
    n_a, n_b, s_a, s_b = (np.asarray(it, dtype=float) for it in _columns(blocks))
    before_a, before_b = _before(n_a), _before(n_b)
    p_a = (_before(s_a) + _before(s_b) + drops * before_b + 1) / (before_a + before_b + 2)
    p_b = np.clip(p_a - drops, _LEAST, 1 - _LEAST)
    p_a = np.clip(p_a, _LEAST, 1 - _LEAST)
    p_0 = (n_a * p_a + n_b * p_b) / (n_a + n_b)
    gained = _log_likelihood(s_a, n_a, p_a) + _log_likelihood(s_b, n_b, p_b)
    logs = np.cumsum(gained - _log_likelihood(s_a + s_b, n_a + n_b, p_0), axis=1)
    top = logs.max(axis=0)
    return np.asarray(top + np.log(np.exp(logs - top).mean(axis=0)))


def difference_bounds(blocks: Blocks, *, level: float = 0.95) -> tuple[float, float]:
    """What the candidate's rate less the base's may be: a confidence sequence, so that its intervals at all times hold
    together with probability `level`. [-1, 1] without a block.

    It keeps every difference against which neither the bet that it is more nor the bet that it is less has ever won
    `2 / (1 - level)` (Waudby-Smith and Ramdas 2024, the hedged capital process). The difference must be the same in all
    blocks; the rates themselves need not be.
    """
    scores = blocks.differences
    needed = math.log(2 / (1 - level))
    return _lower_bound(scores, needed), -_lower_bound(-scores, needed)


def no_worse_log_wealth(blocks: Blocks, margin: float) -> float:
    """The greatest log wealth so far against the hypothesis that the candidate's rate is lower by `margin` or more."""
    return float(max(0.0, no_worse_path(blocks.differences, margin).max())) if len(blocks) else 0.0


def _lower_bound(scores: Floats, needed: float) -> float:
    """The greatest mean that is ruled out as too low; -1 where none is."""
    low, high = -1.0, 1.0
    if len(scores) == 0:
        return low
    for _ in range(_HALVINGS):
        mean = (low + high) / 2
        ruled_out = no_worse_path(scores, -mean).max() >= needed
        low, high = (mean, high) if ruled_out else (low, mean)
    return low


def _columns(blocks: Blocks) -> tuple[Ints, Ints, Ints, Ints]:
    return blocks.base, blocks.candidate, blocks.base_passed, blocks.candidate_passed


def _before(values: Floats) -> Floats:
    """Sum of all earlier values."""
    return np.asarray(np.cumsum(values) - values)


def _log_likelihood(passed: Floats, outcomes: Floats, p: Floats) -> Floats:
    return np.asarray(passed * np.log(p) + (outcomes - passed) * np.log1p(-p))
