"""Exact and Monte-Carlo p-values: what if each result could as well have come from the other version?

Within a true pair the two results change places; otherwise the labels of the units are shuffled within a scenario and
variant, and those of instances that several variants share within the scenario, over all of these at once. Under the
hypothesis that both versions behave alike this holds whatever the scenarios' difficulties and however strongly the
trials of an instance resemble each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import special

from agentkit.gate.metric import Metric
from agentkit.gate.pairs import Matched
from agentkit.gate.proportions import mcnemar_exact
from agentkit.gate.shared import Shared, shared
from agentkit.measure.graded import Floats

PERMUTATIONS = 9_999
"""Draws where the exact distribution has too many values: the smallest p-value is then 2 in 10,000."""
_ENUMERATED = 100_000
"""As many values as an exact distribution may have."""
_CHUNK = 4_000_000
"""Random numbers drawn at a time."""
_TIE = 1e-9


def contributions(metric: Metric) -> Floats:
    """Of a linear metric whose cells are all paired: what each pair adds to the difference, zeros included.

    The sums of the pairs that both versions could be graded on; the pairs' total is the estimated difference.
    """
    return np.concatenate([w * changes(metric, c).mean(axis=1) for c, w in enumerate(metric.weights)])


def changes(metric: Metric, position: int) -> Floats:
    """Of one paired cell: what each pair adds to the difference in each step, or in success, shape [pairs, members]."""
    passed, graded = metric.columns(position)
    cell = metric.cells[position]
    difference = cell.candidate.sums[:, passed] - cell.base.sums[:, passed]
    return np.asarray(difference / np.maximum(cell.base.sums[:, graded].sum(axis=0), 1))


def exchange_p(metric: Metric, *, seed: int, permutations: int = PERMUTATIONS) -> tuple[float, str]:
    """Two-sided p-value, twice that of the smaller tail, and the name of the test.

    `mcnemar_exact` where pairs weigh the same, `sign_flip_exact` and `stratified_exact` where the distribution can be
    enumerated, else by simulation (`sign_flip`, `stratified`, `exchange`), which counts the observed arrangement
    itself and so holds its level at any number of draws.
    """
    rng = np.random.default_rng([seed, 4])
    if metric.linear and all(cell.paired for cell in metric.cells):
        return _sign_flip(contributions(metric), rng, permutations)
    single = _single(metric) and not any(cell.paired or cell.repeated for cell in metric.cells)
    if metric.linear and single and not shared(metric.cells):
        return _stratified(metric, rng, permutations)
    base, candidate = metric_values(metric)
    drawn = _exchanged(metric, rng, permutations)
    return _two_sided(drawn, candidate - base), "exchange"


def metric_values(metric: Metric) -> tuple[float, float]:
    """The metric of the baseline and of the candidate."""
    zero = metric.value([cell.base.total for cell in metric.cells])
    one = metric.value([cell.candidate.total for cell in metric.cells])
    return float(zero), float(one)


def _single(metric: Metric) -> bool:
    return metric.kind == "success" or all(len(members) == 1 for members in metric.members)


def _sign_flip(values: Floats, rng: np.random.Generator, permutations: int) -> tuple[float, str]:
    """Every pair's contribution keeps its size and takes either sign with probability 1/2."""
    moved = values[np.abs(values) > 1e-12]
    if len(moved) == 0:
        return 1.0, "mcnemar_exact"
    rounded = np.round(np.abs(moved) / np.abs(moved).max(), 9)
    unique, position, counts = np.unique(rounded, return_inverse=True, return_counts=True)
    sizes = np.bincount(position, weights=np.abs(moved)) / counts
    wins = np.bincount(position, weights=moved > 0)
    seen = float(moved.sum())
    if len(unique) == 1:
        return float(mcnemar_exact(counts[0] - wins[0], wins[0])), "mcnemar_exact"
    if np.prod(counts + 1.0) <= _ENUMERATED:
        parts = []
        for size, n in zip(sizes, counts, strict=True):
            x = np.arange(n + 1, dtype=float)
            parts.append((size * (2 * x - n), _binomial(x, int(n))))
        return _enumerated(parts, seen), "sign_flip_exact"
    drawn = (2 * rng.binomial(counts, 0.5, size=(permutations, len(counts))) - counts) @ sizes
    return _two_sided(drawn, seen), "sign_flip"


def _stratified(metric: Metric, rng: np.random.Generator, permutations: int) -> tuple[float, str]:
    """Single trials that pass or fail: the candidate's passes in a cell are hypergeometric."""
    seen = 0.0
    supports: list[tuple[Floats, Floats]] = []
    for c, weight in enumerate(metric.weights):
        (passed,), (graded,) = metric.columns(c)
        zero, one = metric.cells[c].base.total, metric.cells[c].candidate.total
        n0, n1, passes = int(zero[graded]), int(one[graded]), int(zero[passed] + one[passed])
        x = np.arange(max(0, passes - n0), min(n1, passes) + 1, dtype=float)
        values = weight * (x / n1 - (passes - x) / n0)
        supports.append((values, _hypergeometric(x, n0, n1, passes)))
        seen += weight * float(one[passed] / n1 - zero[passed] / n0)
    if np.prod([float(len(values)) for values, _ in supports]) <= _ENUMERATED:
        return _enumerated(supports, seen), "stratified_exact"
    drawn = np.sum([rng.choice(values, size=permutations, p=chance) for values, chance in supports], axis=0)
    return _two_sided(drawn, seen), "stratified"


def _exchanged(metric: Metric, rng: np.random.Generator, permutations: int) -> Floats:
    """The difference in `permutations` random arrangements."""
    weights = metric.weights
    found = []
    groups = shared(metric.cells)
    largest = max(
        *(cell.base.sums.shape[0] + cell.candidate.sums.shape[0] for cell in metric.cells),
        *(zero.instances + one.instances for zero, one in groups),
        1,
    )
    for start in range(0, permutations, max(1, _CHUNK // largest)):
        draws = min(max(1, _CHUNK // largest), permutations - start)
        zero, one = 0.0, 0.0
        together = {c: it for group in groups for c, it in _together(metric.cells, *group, rng, draws)}
        for c, cell in enumerate(metric.cells):
            sums0, sums1 = together[c] if c in together else _arranged(cell, rng, draws)
            known = _known(metric.parts(c, cell.base.total + cell.candidate.total))
            zero = zero + weights[c] * _filled(metric.parts(c, sums0), known)
            one = one + weights[c] * _filled(metric.parts(c, sums1), known)
        found.append(metric.combine(np.asarray(one)) - metric.combine(np.asarray(zero)))
    return np.nan_to_num(np.concatenate(found), nan=0.0)


def _arranged(cell: Matched, rng: np.random.Generator, draws: int) -> tuple[Floats, Floats]:
    """Both sides' sums in random arrangements, shape [draws, C] each."""
    zero, one = cell.base.sums, cell.candidate.sums
    if cell.paired:
        moved = (zero != one).any(axis=1)
        flips = rng.integers(0, 2, size=(draws, int(moved.sum())), dtype=np.int8).astype(float)
        change = flips @ (one[moved] - zero[moved])
        return zero.sum(axis=0) + change, one.sum(axis=0) - change
    units = np.concatenate([zero, one])
    sums0 = _chosen(len(units), len(zero), rng, draws) @ units
    return sums0, units.sum(axis=0) - sums0


def _together(
    cells: Sequence[Matched], zero: Shared, one: Shared, rng: np.random.Generator, draws: int
) -> Iterator[tuple[int, tuple[Floats, Floats]]]:
    """Position and both sides' sums of each cell of a scenario whose variants share instances: all of an instance takes
    one label. An instance changes labels only with those that the same variants played, so that neither side comes to
    other variants than it played."""
    _, kinds = np.unique(np.concatenate([zero.played(), one.played()]), axis=0, return_inverse=True)
    kinds = kinds.reshape(-1)
    chosen = np.zeros((draws, len(kinds)))
    for kind in range(kinds.max() + 1):
        alike = np.flatnonzero(kinds == kind)
        chosen[:, alike] = _chosen(len(alike), int((alike < zero.instances).sum()), rng, draws)
    for place, c in enumerate(zero.cells):
        units = np.concatenate([zero.sums(place, cells[c].base), one.sums(place, cells[c].candidate)])
        sums0 = chosen @ units
        yield c, (sums0, units.sum(axis=0) - sums0)


def _chosen(units: int, some: int, rng: np.random.Generator, draws: int) -> Floats:
    """1 for `some` of the units, drawn anew in each of `draws` rows."""
    chosen = np.zeros((draws, units))
    if some > 0:
        order = rng.random((draws, units)).argpartition(some - 1, axis=1)[:, :some]
        np.put_along_axis(chosen, order, 1.0, axis=1)
    return chosen


def _known(parts: Floats) -> Floats:
    return np.nan_to_num(parts, nan=0.0)


def _filled(parts: Floats, known: Floats) -> Floats:
    """A cell in which an arrangement leaves a step without a trial takes both sides' pooled number there."""
    return np.where(np.isnan(parts), known, parts)


def _enumerated(parts: Sequence[tuple[Floats, Floats]], seen: float) -> float:
    values, chance = np.zeros(1), np.ones(1)
    for more, probability in parts:
        values = (values[:, None] + more).ravel()
        chance = (chance[:, None] * probability).ravel()
    low = chance[values <= seen + _TIE].sum()
    high = chance[values >= seen - _TIE].sum()
    return float(min(1.0, 2 * min(low, high)))


def _two_sided(drawn: Floats, seen: float) -> float:
    low = (1 + int((drawn <= seen + _TIE).sum())) / (1 + len(drawn))
    high = (1 + int((drawn >= seen - _TIE).sum())) / (1 + len(drawn))
    return min(1.0, 2 * min(low, high))


def _binomial(x: Floats, n: int) -> Floats:
    return np.asarray(np.exp(_choose(n, x) - n * np.log(2)))


def _hypergeometric(x: Floats, n0: int, n1: int, passes: int) -> Floats:
    chance = np.exp(_choose(n1, x) + _choose(n0, passes - x) - _choose(n0 + n1, np.array(float(passes))))
    return np.asarray(chance / chance.sum())


def _choose(n: int, x: Floats) -> Floats:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1))
