"""Which step, or which skill, to fix first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from agentkit.measure.graded import Floats, Ints
from agentkit.measure.wording import lift_sentence


@dataclass(frozen=True, slots=True)
class Priority:
    """One step or skill, and what mending it would give."""

    name: str
    """`scenario/variant#step`, or the skill."""
    potential: float
    """What the group's compounded accuracy gains if it always passed, after Beta means; ranks are by this."""
    rank: int
    rank_low: int
    rank_high: int
    """Ends of the rank's bootstrap interval, 1 being first."""
    passed: int
    reached: int
    target: float
    """The accuracy that the sentence speaks of."""
    lifted: tuple[float, float] | None
    """The group's compounded accuracy now and at the target; None where it cannot be judged."""
    sentence: str | None
    skill: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is ranked: some steps of some cells of a group."""

    name: str
    label: str
    """As the sentence calls it."""
    members: Mapping[int, Sequence[int]]
    """Position of the cell in the group → positions of steps in the cell."""
    passed: int
    reached: int
    skill: str | None = None


def birnbaum(accuracy: ArrayLike) -> Floats:
    """`dP / dp_k`, the product of the other steps (Birnbaum 1969); shape [..., K], right where an accuracy is
    0."""
    p = np.asarray(accuracy, dtype=float)
    one = np.ones_like(p[..., :1])
    before = np.concatenate([one, p[..., :-1]], axis=-1).cumprod(axis=-1)
    after = np.concatenate([p[..., 1:], one], axis=-1)[..., ::-1].cumprod(axis=-1)[..., ::-1]
    return np.asarray(before * after)


def improvement_potential(accuracy: ArrayLike) -> Floats:
    """`(1 - p_k) dP / dp_k`: what the product gains if step k always passed; shape [..., K]."""
    p = np.asarray(accuracy, dtype=float)
    return np.asarray((1 - p) * birnbaum(p))


def rank_interval(potential: ArrayLike, *, level: float = 0.95) -> tuple[Ints, Ints]:
    """Percentile interval of each item's rank over resamples, potentials of shape [B, items]; 1 is the
    largest.

    Ties count as the best of their ranks at the low end and as the worst at the high end.
    """
    values = np.round(np.asarray(potential, dtype=float), 12)
    order = np.argsort(-values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    items = np.arange(values.shape[1])
    starts = np.diff(ordered, axis=1, prepend=np.inf) != 0
    ends = np.diff(ordered, axis=1, append=-np.inf) != 0
    first = np.maximum.accumulate(np.where(starts, items, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, items, items[-1])[:, ::-1], axis=1)[:, ::-1]
    best, worst = np.empty_like(first), np.empty_like(last)
    np.put_along_axis(best, order, first + 1, axis=1)
    np.put_along_axis(worst, order, last + 1, axis=1)
    tail = (1 - level) / 2 * (len(values) - 1)
    low = np.sort(best, axis=0)[math.floor(tail)]
    high = np.sort(worst, axis=0)[math.ceil(len(values) - 1 - tail)]
    return low, high


def prioritise(
    candidates: Sequence[Candidate],
    *,
    accuracy: Sequence[Floats],
    means: Sequence[Floats],
    resampled: Sequence[Floats],
    weights: Floats,
    ids: Sequence[str],
    level: float = 0.95,
) -> tuple[Priority, ...]:
    """The candidates in order of improvement potential.

    For each cell of the group: raw accuracies [K] (NaN where unknown), Beta means [K], Beta means of B
    resamples [B, K]; with the cells' weights and ids.
    """
    if not candidates:
        return ()
    potential = np.array([_gain(candidate, means, weights) for candidate in candidates])
    again = np.stack([_gain(candidate, resampled, weights) for candidate in candidates], axis=1)
    low, high = rank_interval(again, level=level)
    names = [candidate.name for candidate in candidates]
    order = sorted(range(len(candidates)), key=lambda i: (-potential[i], names[i]))
    return tuple(
        _priority(
            candidates[i],
            potential=float(potential[i]),
            ranks=(rank, min(rank, int(low[i])), max(rank, int(high[i]))),
            accuracy=accuracy,
            weights=weights,
            ids=ids,
        )
        for rank, i in enumerate(order, start=1)
    )


def worthwhile_target(accuracy: float) -> float:
    """The accuracy to aim at: 95 %, or half of the failures gone where that is more."""
    return max(0.95, 1 - (1 - accuracy) / 2)


def _gain(candidate: Candidate, means: Sequence[Floats], weights: Floats) -> Floats:
    """What the group gains if the candidate's steps always passed; means of shape [..., K] to [...]."""
    gain = np.zeros(means[0].shape[:-1])
    for cell, steps in candidate.members.items():
        perfect = means[cell].copy()
        perfect[..., list(steps)] = 1.0
        gain = gain + weights[cell] * (perfect.prod(axis=-1) - means[cell].prod(axis=-1))
    return gain


def _priority(
    candidate: Candidate,
    *,
    potential: float,
    ranks: tuple[int, int, int],
    accuracy: Sequence[Floats],
    weights: Floats,
    ids: Sequence[str],
) -> Priority:
    now = candidate.passed / candidate.reached
    target = worthwhile_target(now)
    products = np.array([cell.prod() for cell in accuracy])
    raised = products.copy()
    for cell, steps in candidate.members.items():
        better = accuracy[cell].copy()
        better[list(steps)] = np.maximum(better[list(steps)], target)
        raised[cell] = better.prod()
    before, after = float(weights @ products), float(weights @ raised)
    lifted = None if math.isnan(before) else (before, after)
    return Priority(
        name=candidate.name,
        potential=potential,
        rank=ranks[0],
        rank_low=ranks[1],
        rank_high=ranks[2],
        passed=candidate.passed,
        reached=candidate.reached,
        target=target,
        lifted=lifted,
        sentence=_sentence(candidate, (now, target), lifted, (products, raised), ids),
        skill=candidate.skill,
    )


def _sentence(
    candidate: Candidate,
    change: tuple[float, float],
    lifted: tuple[float, float] | None,
    products: tuple[Floats, Floats],
    ids: Sequence[str],
) -> str | None:
    lifts: dict[str, tuple[float, float]] = {}
    if len(ids) > 1 and len(candidate.members) == 1:
        (cell,) = candidate.members
        if not math.isnan(products[0][cell]):
            lifts[f"`{ids[cell]}`"] = float(products[0][cell]), float(products[1][cell])
    if lifted is not None:
        lifts["the whole conversation" if len(ids) == 1 else f"the mean of all {len(ids)} conversations"] = lifted
    return lift_sentence(candidate.label, change, lifts) if lifts else None
