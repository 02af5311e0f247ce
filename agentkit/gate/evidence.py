"""Evidence that may be looked at after every trial: e-processes.

An e-process is the wealth of somebody who bets against a hypothesis at fair odds. While the hypothesis holds, wealth
ever reaches 1/alpha with probability alpha at most, however often and whenever one looks (Ville 1939).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from agentkit.gate.metric import Metric
from agentkit.gate.pairs import Matched
from agentkit.gate.shared import shared
from agentkit.measure import birnbaum
from agentkit.measure.graded import Floats, Ints

_NODES = 128
"""Bets among which the wealth is spread: exact for 255 discordant pairs, and an e-process for any number."""
_LEAST = 0.005
"""No rate is predicted to be closer to 0 or 1 than this."""


def betting_path(scores: ArrayLike) -> Floats:
    """Log wealth after each score, against the hypothesis that each is symmetric around 0 given those before it.

    Scores lie in [-1, 1]. The bets `1 + lambda d` are mixed over lambda with the arcsine law, by Gauss-Chebyshev
    quadrature; for discordant pairs (d = ±1) that is the Krichevsky-Trofimov bet `prod q / (1/2)`, `q = (s + 1/2) / (n
    + 1)` (Krichevsky and Trofimov 1981; Waudby-Smith and Ramdas 2024).
    """
    return _mixture(np.asarray(scores, dtype=float), _chebyshev())


def no_worse_path(scores: ArrayLike, margin: float) -> Floats:
    """Log wealth after each score, against the hypothesis that their mean is `-margin` or less (a drop of the margin).

    Bets only that scores are better: `1 + lambda (d + margin)`, `0 < lambda < 1 / (1 - margin)`.
    """
    bets = (1 + _chebyshev()) / 2 / (1 - margin)
    return _mixture(np.asarray(scores, dtype=float) + margin, bets)


def kt_log_wealth(successes: ArrayLike, failures: ArrayLike) -> Floats:
    """Log of the Krichevsky-Trofimov wealth after so many outcomes of either kind: `2^n B(s + 1/2, f + 1/2) / B(1/2,
    1/2)`; (5, 0) is worth 7.875."""
    s, f = np.asarray(successes, dtype=float), np.asarray(failures, dtype=float)
    return np.asarray((s + f) * np.log(2) + special.betaln(s + 0.5, f + 0.5) - special.betaln(0.5, 0.5))


def two_streams_path(base: ArrayLike, candidate: ArrayLike, strata: ArrayLike) -> Floats:
    """Log wealth after each block of one trial a side: `prod p_a(y_a) p_b(y_b) / (p_0(y_a) p_0(y_b))`, `p_0` their
    mean.

    Against the hypothesis that within each stratum both sides pass with one and the same probability (Turner, Ly and
    Grunwald 2024). The predictions come from earlier blocks alone: the stratum's own rate, drawn towards the rate of
    all, and a difference that all strata share.
    """
    a, b, cell = np.asarray(base, dtype=float), np.asarray(candidate, dtype=float), np.asarray(strata)
    both, blocks = a + b, np.arange(len(a))
    rate = (_before(both) + 1) / (2 * blocks + 2)
    mine, played = np.zeros(len(a)), np.zeros(len(a))
    for stratum in np.unique(cell):
        here = cell == stratum
        mine[here], played[here] = _before(both[here]), 2 * np.arange(here.sum())
    own = (mine + 2 * rate) / (played + 2)
    shift = _before(b - a) / (blocks + 2)
    p_a = np.clip(own - shift / 2, _LEAST, 1 - _LEAST)
    p_b = np.clip(own + shift / 2, _LEAST, 1 - _LEAST)
    p_0 = (p_a + p_b) / 2
    return np.asarray(np.cumsum(_log_ratio(a, p_a, p_0) + _log_ratio(b, p_b, p_0)))


def evidence_path(metric: Metric) -> Floats | None:
    """Log wealth after each pair, or block of one unit a side, in playing order; None where the metric has no bet.

    Against the hypothesis that both versions behave alike. Two streams of single trials are judged by
    `two_streams_path`, all else by `betting_path`. Variants without pairs that share instances have no bet: what an
    instance did in one of them tells what it will do in the next.
    """
    if metric.kind not in ("success", "steps", "compounded") or shared(metric.cells):
        return None
    streams = metric.linear and not any(cell.paired or cell.repeated for cell in metric.cells)
    if streams and all(len(members) <= 1 for members in metric.members):
        return _streams(metric)
    weights = metric.weights / metric.weights.max() if metric.cells else metric.weights
    bet = unit_scores if metric.linear else _product_scores
    scores = [weights[c] * bet(metric, c) for c in range(len(metric.cells))]
    return betting_path(np.concatenate(scores)[_playing_order(metric.cells)]) if scores else np.zeros(0)


def no_worse_wealth(metric: Metric, margin: float) -> float | None:
    """The greatest log wealth so far against a drop of `margin` or more; None where the metric has no such bet.

    One score a round, the weighted mean over cells of the r-th score of each, whose expectation is the very difference
    that the metric estimates. Rounds that not all cells have reached do not count. However far each cell has been
    played, and why, the wealth over complete rounds is that of one fixed sequence, so its maximum is within the bound.
    """
    if metric.kind not in ("success", "steps", "compounded") or not metric.cells or shared(metric.cells):
        return None
    tape = _graded_scores if metric.linear else _product_tape
    tapes = [tape(metric, c) for c in range(len(metric.cells))]
    rounds = min(len(scores) for scores in tapes)
    if rounds == 0:
        return 0.0
    means = np.sum([w * scores[:rounds] for w, scores in zip(metric.weights, tapes, strict=True)], axis=0)
    return float(max(0.0, no_worse_path(means, margin).max()))


def _mixture(scores: Floats, bets: Floats) -> Floats:
    if len(scores) == 0:
        return np.zeros(0)
    logs = np.cumsum(np.log1p(np.multiply.outer(scores, bets)), axis=0)
    top = logs.max(axis=1)
    return np.asarray(top + np.log(np.exp(logs - top[:, None]).mean(axis=1)))


def _chebyshev() -> Floats:
    return np.cos((2 * np.arange(_NODES) + 1) * np.pi / (2 * _NODES))


def _before(values: Floats) -> Floats:
    """Sum of all earlier values."""
    return np.asarray(np.cumsum(values, axis=0) - values)


def _log_ratio(y: Floats, p: Floats, null: Floats) -> Floats:
    return np.asarray(np.where(y == 1, np.log(p / null), np.log((1 - p) / (1 - null))))


def _blocks(cell: Matched) -> int:
    return min(len(cell.base.sums), len(cell.candidate.sums))


def _playing_order(cells: tuple[Matched, ...]) -> Ints:
    rank = np.concatenate([cell.order[: _blocks(cell)] for cell in cells])
    position = np.concatenate([np.full(_blocks(cell), c) for c, cell in enumerate(cells)])
    return np.asarray(np.lexsort((position, rank)))


def _rates(metric: Metric, position: int) -> tuple[Floats, Floats]:
    """Each unit's rates on either side, shape [blocks, members]; NaN where it was not graded."""
    cell, (passed, graded) = metric.cells[position], metric.columns(position)
    with np.errstate(divide="ignore", invalid="ignore"):
        zero, one = (
            side.sums[: _blocks(cell), passed] / side.sums[: _blocks(cell), graded]
            for side in (cell.base, cell.candidate)
        )
    return zero, one


def unit_scores(metric: Metric, position: int) -> Floats:
    """Candidate less baseline in each pair or block of one cell of a linear metric, -1 to 1; 0 where it was not
    graded."""
    zero, one = _rates(metric, position)
    return np.asarray(np.nan_to_num(one - zero, nan=0.0).mean(axis=1))


def _graded_scores(metric: Metric, position: int) -> Floats:
    zero, one = _rates(metric, position)
    scores = (one - zero).mean(axis=1)
    return np.asarray(scores[~np.isnan(scores)])


def _product_tape(metric: Metric, position: int) -> Floats:
    """One score for each K pairs of a cell with K steps: the product with every step taken from another pair, averaged
    over the K ways round. Its expectation is the difference of the products, since different pairs are independent."""
    zero, one = _rates(metric, position)
    graded = ~np.isnan(zero + one).any(axis=1)
    steps = zero.shape[1]
    blocks = int(graded.sum()) // steps
    columns = np.arange(steps)
    rows = (columns + columns[:, None]) % steps  # way round, step
    products = [
        side[graded][: blocks * steps].reshape(blocks, steps, steps)[:, rows, columns].prod(axis=2).mean(axis=1)
        for side in (zero, one)
    ]
    return np.asarray(products[1] - products[0])


def _product_scores(metric: Metric, position: int) -> Floats:
    """What each block says of the product: the steps' differences, weighed by what each step does to the product as far
    as the blocks before tell (both sides pooled, so that exchanging a block's sides turns the sign alone)."""
    cell = metric.cells[position]
    passed, graded = metric.columns(position)
    both = cell.base.sums[: _blocks(cell)] + cell.candidate.sums[: _blocks(cell)]
    p = (_before(both[:, passed]) + 4.5) / (_before(both[:, graded]) + 5)
    weights = birnbaum(p)
    zero, one = _rates(metric, position)
    moved = (weights * np.nan_to_num(one - zero, nan=0.0)).sum(axis=1) / weights.max(axis=1)
    return np.asarray(np.clip(moved, -1.0, 1.0))


def _streams(metric: Metric) -> Floats:
    rates = [_rates(metric, c) for c in range(len(metric.cells))]
    strata = np.concatenate([np.full(_blocks(cell), c) for c, cell in enumerate(metric.cells)])
    order = _playing_order(metric.cells)
    a, b = (np.concatenate([pair[side][:, 0] for pair in rates])[order] for side in (0, 1))
    strata = strata[order]
    graded = ~np.isnan(a + b)
    return two_streams_path(a[graded], b[graded], strata[graded])
