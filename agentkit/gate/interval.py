"""The interval of a difference for this fixed suite: what another run of the same cells would give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentkit.gate.exchange import changes, contributions
from agentkit.gate.metric import Metric
from agentkit.gate.pairs import FIRST_STEP, Side
from agentkit.gate.proportions import square_and_add, tango
from agentkit.gate.shared import Shared, shared
from agentkit.measure import Interval, product_interval, wilson
from agentkit.measure.graded import Floats
from agentkit.measure.product import product_variance
from agentkit.measure.proportion import normal_quantile
from agentkit.measure.suite import CellFigure, fixed_suite


@dataclass(frozen=True, slots=True)
class Spread:
    """Variances of both numbers and of their difference, by the jackknife over units (Efron and Stein 1981)."""

    base: float
    candidate: float
    variance: float

    @property
    def correlation(self) -> float:
        product = self.base * self.candidate
        if product <= 0:
            return 0.0
        covariance = (self.base + self.candidate - self.variance) / 2
        return max(-1.0, min(1.0, covariance / math.sqrt(product)))


def jackknife(metric: Metric) -> Spread:
    """The spread of both numbers, leaving out one pair, instance or trial after the other; an instance that variants
    without pairs share, from all of them at once."""
    zero = [metric.weights[c] * metric.parts(c, cell.base.total) for c, cell in enumerate(metric.cells)]
    one = [metric.weights[c] * metric.parts(c, cell.candidate.total) for c, cell in enumerate(metric.cells)]
    total0, total1 = np.sum(zero, axis=0), np.sum(one, axis=0)
    base = candidate = both = 0.0
    groups = shared(metric.cells)
    for group0, group1 in groups:
        mine0 = _jackknife_variance(_without_instances(metric, group0, [it.base for it in metric.cells], total0, zero))
        mine1 = _jackknife_variance(
            _without_instances(metric, group1, [it.candidate for it in metric.cells], total1, one)
        )
        base, candidate, both = base + mine0, candidate + mine1, both + mine0 + mine1
    done = {c for group, _ in groups for c in group.cells}
    for c, cell in enumerate(metric.cells):
        if c in done:
            continue
        left0 = _without_each(metric, c, cell.base, total0, zero[c])
        left1 = _without_each(metric, c, cell.candidate, total1, one[c])
        mine0, mine1 = _jackknife_variance(left0), _jackknife_variance(left1)
        base, candidate = base + mine0, candidate + mine1
        both += _jackknife_variance(left1 - left0) if cell.paired else mine0 + mine1
    return Spread(base, candidate, both)


def _without_each(metric: Metric, position: int, side: Side, total: Floats, mine: Floats) -> Floats:
    """The suite's number without each unit of one cell in turn, shape [units]."""
    left = metric.weights[position] * metric.parts(position, side.total - side.sums)
    left = np.where(np.isnan(left), mine, left)
    return metric.combine(total - mine + left)


def _without_instances(
    metric: Metric, group: Shared, sides: Sequence[Side], total: Floats, parts: Sequence[Floats]
) -> Floats:
    """The suite's number without each instance of a scenario's cells in turn, shape [instances]."""
    left = np.broadcast_to(total, (group.instances, len(total)))
    for place, c in enumerate(group.cells):
        without = metric.weights[c] * metric.parts(c, sides[c].total - group.sums(place, sides[c]))
        left = left - parts[c] + np.where(np.isnan(without), parts[c], without)
    return metric.combine(left)


def _jackknife_variance(left: Floats) -> float:
    n = len(left)
    fit = left[np.isfinite(left)]
    return float((n - 1) / n * ((fit - fit.mean()) ** 2).sum()) if len(fit) > 1 else 0.0


def suite_interval(
    metric: Metric, base: float, candidate: float, spread: Spread, *, level: float, seed: int
) -> tuple[float, float]:
    """Interval of candidate less baseline for a repetition of this very suite; never of zero width.

    Rates of true pairs: Tango's. Other rates and products: both sides' intervals of `measure`, square-and-added with
    their correlation (one cell without pairs is Newcombe's method 10), and with pairs no shorter than the jackknife's.
    Anything else: the jackknife's normal interval. None is shorter than what no change at all among as many pairs
    would leave open. Where variants without pairs share instances, none is shorter than the jackknife's either, and
    instances are what is counted.
    """
    mine, paired = candidate - base, [cell.paired for cell in metric.cells]
    if metric.linear and all(paired):
        low, high = _pairs_interval(metric, level)
        return float(low), float(high)
    half = max(_least(metric, level), normal_quantile(level) * math.sqrt(spread.variance))
    if metric.relative:
        half = max(half, _least(metric, level) / max(_success(metric), 1e-3))
        return mine - half, mine + half
    low, high = np.asarray(mine), np.asarray(mine)
    together = bool(shared(metric.cells))
    if metric.kind in ("success", "steps", "compounded"):
        one, zero = _figures(metric, level, seed, spread if together else None)
        r = spread.correlation if any(paired) else 0.0
        low, high = square_and_add((candidate, *one), (base, *zero), correlation=r)
    if metric.kind == "pass_k" or together or any(paired):
        low, high = np.minimum(low, mine - half), np.maximum(high, mine + half)
    return max(-1.0, float(low)), min(1.0, float(high))


def _success(metric: Metric) -> float:
    """The lower of both success rates."""
    rates = [
        sum(w * metric.parts(c, total)[..., 1] for c, (w, total) in enumerate(zip(metric.weights, totals, strict=True)))
        for totals in ([cell.base.total for cell in metric.cells], [cell.candidate.total for cell in metric.cells])
    ]
    return float(min(rates))


def _kish(metric: Metric) -> float:
    """Pairs or trials of one cell that would tell as much as the weighted suite. Cells that share instances tell no
    more than if all of them failed or passed together."""
    variances = {c: w**2 / units_of(metric, c) for c, w in enumerate(metric.weights)}
    together = [sum(math.sqrt(variances.pop(c)) for c in group.cells) ** 2 for group, _ in shared(metric.cells)]
    return float(1 / sum([*variances.values(), *together]))


def _least(metric: Metric, level: float) -> float:
    """Half-width below which no interval goes: what no change at all among the units would leave open, which is Tango's
    interval without a discordant pair, `z^2 / (n + z^2)`."""
    z = normal_quantile(level)
    return z**2 / (_kish(metric) + z**2)


def _pairs_interval(metric: Metric, level: float) -> Interval:
    """Tango's interval for weighted pairs: discordances as rates, and the number of pairs that carries their variance.

    With equal weights and no repeats these are the plain counts. A pair in which a side was not graded is none.
    """
    values = contributions(metric)
    worse, better = -values[values < 0].sum(), values[values > 0].sum()
    pairs = _kish(metric)
    if worse + better > 0:
        usual = np.concatenate([w * _usual(metric, c) for c, w in enumerate(metric.weights)])
        squares = (values**2).sum()
        pairs = min(pairs * (np.abs(values) @ usual) / squares, (worse + better) / squares)
    return tango(worse * pairs, better * pairs, pairs, level=level)


def _usual(metric: Metric, position: int) -> Floats:
    """What a pair of a cell adds to its difference where it changes at all: one over the number of pairs, but for steps
    that fewer of them reached. Shape [pairs]."""
    sizes, moved = _sizes(metric, position, metric.cells[position].base), np.abs(changes(metric, position))
    mean = (moved * sizes).sum(axis=1) / np.maximum(moved.sum(axis=1), 1e-300)
    return np.asarray(mean / (sizes**2).sum() / units_of(metric, position))


def _figures(metric: Metric, level: float, seed: int, spread: Spread | None) -> tuple[Interval, Interval]:
    """The interval of the candidate's and of the baseline's number for this fixed suite; widened to the `spread` where
    that is more than cells without a common instance would show."""
    found = []
    for side in ("candidate", "base"):
        cells = [_figure(metric, c, getattr(cell, side), level, seed) for c, cell in enumerate(metric.cells)]
        alone = sum(float(w) ** 2 * it.variance for w, it in zip(metric.weights, cells, strict=True))
        sharing = max(1.0, getattr(spread, side) / alone) if spread is not None and alone > 0 else 1.0
        names = [cell.id for cell in metric.cells]
        figure = fixed_suite(cells, metric.weights, names=names, single="", sharing=sharing, level=level)
        assert figure.low is not None
        assert figure.high is not None
        found.append(Interval(np.asarray(figure.low), np.asarray(figure.high)))
    return found[0], found[1]


def _figure(metric: Metric, position: int, side: Side, level: float, seed: int) -> CellFigure:
    """One cell's number with its own interval; counts are scaled to what units are worth where units hold repeats."""
    estimate = float(metric.parts(position, side.total)[..., 0])
    left = metric.parts(position, side.total - side.sums)[..., 0]
    variance = _jackknife_variance(np.where(np.isnan(left), estimate, left))
    if metric.kind == "compounded":
        steps = len(metric.cells[position].steps)
        x, n = side.total[FIRST_STEP : FIRST_STEP + steps], side.total[FIRST_STEP + steps :]
        plain = float(product_variance(x / n, n))
        # What repeats and failures that share trials cost, from the jackknife; less than nothing is noise.
        worth = n / max(1.0, variance / plain) if plain > 0 else n * len(side.sums) / side.trials
        rng = np.random.default_rng([seed, position])
        low, high = product_interval(x / n * worth, worth, rng=rng, level=level, draws=4_000)
        return CellFigure(estimate, float(low), float(high), variance)
    graded = float(side.total[metric.columns(position)[1]].min())
    plain = estimate * (1 - estimate) / max(graded - 1, 1)
    worth_of_one = graded * len(side.sums) / side.trials
    worth_of_one = min(graded, max(worth_of_one, graded * plain / variance)) if variance > 0 else worth_of_one
    low, high = wilson(estimate * worth_of_one, worth_of_one, level=level)
    return CellFigure(estimate, float(low), float(high), variance)


def units_of(metric: Metric, position: int) -> float:
    """Pairs of a cell that could be graded on both sides, or graded units of the smaller one.

    Of several steps that are averaged each has its own: units then count by what they can add to the mean (Kish 1965).
    A product is known no better than its step with the fewest.
    """
    cell = metric.cells[position]
    return min(_graded_units(metric, position, side) for side in (cell.base, cell.candidate))


def _graded_units(metric: Metric, position: int, side: Side) -> float:
    if metric.kind == "steps":
        squares = float((_sizes(metric, position, side).sum(axis=1) ** 2).sum())
        return round(1 / squares, 9) if squares > 0 else 0.0
    return float((side.sums[:, metric.columns(position)[1]] > 0).sum(axis=0).min())


def _sizes(metric: Metric, position: int, side: Side) -> Floats:
    """What each unit can add at most to a cell's number by each step (or by success), shape [units, members]."""
    graded = side.sums[:, metric.columns(position)[1]] > 0
    return np.asarray(graded / np.maximum(graded.sum(axis=0), 1) / graded.shape[1])
