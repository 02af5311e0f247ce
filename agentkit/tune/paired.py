"""Two runs of the same instances, laid side by side with the instance as the unit.

All variants of an instance share its names, amounts and first words, so an agent often gets all of them wrong or none.
They are therefore one unit: exchanged together by the test and left out together by the jackknife, exactly as the gate
treats repeats. Everything else (weights, intervals, p-values) is the gate's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from agentkit.errors import UsageError
from agentkit.gate.difference import Difference, difference
from agentkit.gate.metric import Metric, compounded
from agentkit.gate.pairs import FIRST_STEP, GRADED_COLUMN, PASSED_COLUMN, Matched, Side, match
from agentkit.gate.plan import non_inferiority_power
from agentkit.gate.proportions import mcnemar_exact, tango
from agentkit.gate.recorded import Recorded
from agentkit.gate.verdict import steps_gone
from agentkit.measure.graded import Floats, Ints
from agentkit.measure.proportion import normal_quantile


@dataclass(frozen=True, slots=True)
class Compared:
    """One number before and after, over true pairs."""

    name: str
    difference: Difference
    """After less before; its `units` are the pairs."""
    pairs: int
    """Results that both runs have: one a trial, or one a step and trial where steps are pooled."""
    instances: int
    """Units: instances of a scenario with at least one pair."""
    discordant: int
    """Pairs of which one side passed and the other failed."""
    design_effect: float
    """How many times the variance exceeds that of as many independent pairs (Kish 1965), 1 or more."""

    @property
    def before(self) -> float | None:
        return self.difference.base

    @property
    def after(self) -> float | None:
        return self.difference.candidate

    @property
    def effective(self) -> float:
        """Independent pairs that would tell as much."""
        return self.pairs / self.design_effect

    def power(self, margin: float, alpha: float) -> float | None:
        """Chance that a step that did not change rules out a drop of `margin`, one-sided, with the discordance that was
        seen; one pair counts as discordant where none is, since none at all would promise certainty."""
        if self.pairs == 0:
            return None
        share = max(self.discordant, 1) / self.pairs
        return non_inferiority_power(int(self.effective), discordance=share, margin=margin, alpha=alpha)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "before": self.before,
            "after": self.after,
            "difference": interval_document(self.difference),
            "pairs": self.pairs,
            "instances": self.instances,
            "discordant": self.discordant,
            "design_effect": round(self.design_effect, 4),
            "effective_pairs": round(self.effective, 1),
        }


def interval_document(it: Difference) -> dict[str, Any]:
    """Estimate and interval; all None where there is none, with the reason."""
    shown = {"estimate": it.estimate, "low": it.low, "high": it.high, "level": it.level, "p_value": it.p_value}
    return shown | {"test": it.test, "reason": it.reason}


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One column of one cell that is pooled: a step, or the outcome."""

    cell: Matched
    passed: int
    graded: int

    @property
    def pairs(self) -> float:
        return float(self.cell.base.sums[:, self.graded].sum())

    @property
    def change(self) -> Floats:
        """After less before by unit of the cell."""
        return np.asarray(self.cell.candidate.sums[:, self.passed] - self.cell.base.sums[:, self.passed])


def pairs_of(before: Recorded, after: Recorded) -> tuple[Matched, ...]:
    """Both runs side by side. Raises UsageError where they are one run, or share no instances."""
    if before.run == after.run:
        raise UsageError(f"run {before.run} cannot be compared with itself; name the run before and the run after")
    cells = match(before, after, without=steps_gone(before, after))
    unpaired = [cell.id for cell in cells if not cell.paired]
    if unpaired or not cells:
        where = ", ".join(unpaired[:5]) or "any scenario and variant"
        raise UsageError(
            f"runs {before.run} and {after.run} did not play the same instances of {where}; a certificate rests on "
            "true pairs: play both with the same seed, scenarios, variants and repeats"
        )
    return cells


def step_members(cells: Sequence[Matched], chosen: Sequence[str]) -> tuple[Member, ...]:
    """Steps, named `scenario/variant#step`."""
    return tuple(
        Member(cell, FIRST_STEP + k, FIRST_STEP + len(cell.steps) + k)
        for cell in cells
        for k, step in enumerate(cell.step_ids)
        if step in chosen
    )


def outcome_members(cells: Sequence[Matched]) -> tuple[Member, ...]:
    """The outcome of each conversation."""
    return tuple(Member(cell, PASSED_COLUMN, GRADED_COLUMN) for cell in cells)


def compare(name: str, members: Sequence[Member], *, seed: int, level: float, by_pairs: bool = False) -> Compared:
    """Members pooled as the gate pools them: scenarios alike, within each its variants, within each its steps.

    `by_pairs`: every pair counts alike instead. What was met twice then says little, where it would say as much as
    what was met fifty times, and blur it.

    The test exchanges whole instances; the interval is Tango's for the pairs that these are worth.
    """
    able = [it for it in members if it.pairs > 0]
    scenarios = sorted({it.cell.scenario for it in able})
    if by_pairs:
        pools = [_pool(able, alike=True)] if able else []
    else:
        pools = [_pool([it for it in able if it.cell.scenario == scenario]) for scenario in scenarios]
    metric = Metric("steps", name, tuple(pool for pool, _ in pools), ((0,),) * len(pools))
    pairs = round(sum(it.pairs for it in able))
    found = replace(difference(metric, seed=seed, level=level), units=pairs)
    instances = sum(len(pool.order) for pool, _ in pools)
    discordant = round(float(sum(np.abs(it.change).sum() for it in able)))
    return Compared(name, found, pairs, instances, discordant, _design_effect([v for _, v in pools], pairs, instances))


def compare_compounded(name: str, cells: Sequence[Matched], *, seed: int, level: float) -> Compared:
    """The mean over scenarios and variants of the product of step accuracies.

    The gate's interval and p-value take variants for independent; here neither is sharper than the jackknife that
    leaves out an instance with all its variants.
    """
    metric = compounded(cells, name)
    found = difference(metric, seed=seed, level=level)
    instances = len({(cell.scenario, place) for cell in metric.cells for place in cell.order.tolist()})
    pairs = found.units
    if found.estimate is None:
        return Compared(name, found, pairs, instances, 0, 1.0)
    assert found.low is not None
    assert found.high is not None
    assert found.p_value is not None
    assert found.error is not None
    error = max(found.error, _clustered_error(metric))
    half = normal_quantile(level) * error
    p_value = 2 * float(special.ndtr(-abs(found.estimate) / error)) if error > 0 else 1.0
    widened = replace(
        found,
        low=max(-1.0, min(found.low, found.estimate - half)),
        high=min(1.0, max(found.high, found.estimate + half)),
        p_value=max(found.p_value, p_value),
        error=error,
        units=pairs,
    )
    effect = max(1.0, (error / found.error) ** 2) if found.error > 0 else max(1.0, pairs / instances)
    otherwise = sum(int((cell.base.sums != cell.candidate.sums)[:, FIRST_STEP:].any(axis=1).sum()) for cell in cells)
    return Compared(name, widened, pairs, instances, otherwise, effect)


def compare_answers(name: str, before: Sequence[bool], after: Sequence[bool], *, level: float = 0.95) -> Compared:
    """Right or wrong, one by one: Tango's interval (1998) and McNemar's exact test. Raises UsageError where there are
    none, or not as many on either side."""
    n = len(before)
    if n != len(after) or not n:
        raise UsageError(f"{name}: found {n} answers before and {len(after)} after, expected as many, and some")
    worse = sum(b and not a for b, a in zip(before, after, strict=True))
    better = sum(a and not b for b, a in zip(before, after, strict=True))
    low, high = (float(end) for end in tango(worse, better, n, level=level))
    found = Difference(
        metric=name, kind="steps", base=sum(before) / n, candidate=sum(after) / n, estimate=(better - worse) / n,
        low=low, high=high, level=level, p_value=float(mcnemar_exact(worse, better)), test="mcnemar_exact",
        target="fixed_suite", paired=True, units=n, left_out=0, error=None,
    )  # fmt: skip
    return Compared(name, found, n, n, worse + better, 1.0)


def instance_changes(members: Sequence[Member]) -> dict[tuple[str, int], float]:
    """Instance to what it adds to the difference, times the number of instances: their plain mean is the difference of
    accuracies over all scenarios."""
    able = [it for it in members if it.pairs > 0]
    scenarios = sorted({it.cell.scenario for it in able})
    found: dict[tuple[str, int], float] = {}
    for scenario in scenarios:
        pool, _ = _pool([it for it in able if it.cell.scenario == scenario])
        n = pool.base.sums[:, FIRST_STEP + 1].sum()
        moved = (pool.candidate.sums - pool.base.sums)[:, FIRST_STEP] / n / len(scenarios)
        found |= {(scenario, int(place)): float(v) for place, v in zip(pool.order, moved, strict=True)}
    return {key: value * len(found) for key, value in found.items()}


def _pool(members: Sequence[Member], *, alike: bool = False) -> tuple[Matched, list[tuple[Ints, Floats]]]:
    """Members as one cell whose units are instances; and each member's centred changes by instance.

    A member's counts are scaled so that each variant weighs the same and each step within it, their sum staying the
    number of pairs; they are left as they are where all pairs are `alike`. Members of one scenario share its instances,
    and those of different ones do not.
    """
    most = 1 + max(int(it.cell.order.max(initial=0)) for it in members)
    scenarios = sorted({it.cell.scenario for it in members})
    orders = [it.cell.order + most * scenarios.index(it.cell.scenario) for it in members]
    variants = {it.cell.variant for it in members}
    inside = {variant: sum(it.cell.variant == variant for it in members) for variant in variants}
    total = sum(it.pairs for it in members)
    scales = [1.0 if alike else total / len(variants) / inside[it.cell.variant] / it.pairs for it in members]
    graded = [np.flatnonzero(it.cell.base.sums[:, it.graded] > 0) for it in members]
    places = np.unique(np.concatenate([order[rows] for order, rows in zip(orders, graded, strict=True)]))
    zero, one = np.zeros((len(places), FIRST_STEP + 2)), np.zeros((len(places), FIRST_STEP + 2))
    for it, order, scale, rows in zip(members, orders, scales, graded, strict=True):
        at = np.searchsorted(places, order[rows])
        for sums, side in ((zero, it.cell.base), (one, it.cell.candidate)):
            np.add.at(sums[:, FIRST_STEP], at, scale * side.sums[rows, it.passed])
            np.add.at(sums[:, FIRST_STEP + 1], at, scale * side.sums[rows, it.graded])
    estimate = float((one - zero)[:, FIRST_STEP].sum() / total)
    changes = [
        (order[rows], scale / total * (it.change[rows] - estimate * it.cell.base.sums[rows, it.graded]))
        for it, order, scale, rows in zip(members, orders, scales, graded, strict=True)
    ]
    cells = {id(it.cell): it.cell for it in members}.values()
    trials = sum(cell.base.trials for cell in cells)
    pooled = Matched(
        members[0].cell.scenario,
        "all its variants",
        ("pooled",),
        (None,),
        (),
        True,
        True,
        Side(zero, trials),
        Side(one, trials),
        places,
        sum(cell.left_out for cell in cells),
    )
    return pooled, changes


def _design_effect(pools: Sequence[Sequence[tuple[Ints, Floats]]], pairs: int, instances: int) -> float:
    """Variance with instances as clusters over that of independent pairs; all of a cluster's pairs taken as one where
    nothing varies, which says nothing of how alike they are."""
    alone = together = 0.0
    for changes in pools:
        places = np.concatenate([order for order, _ in changes])
        values = np.concatenate([value for _, value in changes])
        sums = np.zeros(int(places.max()) + 1)
        np.add.at(sums, places, values)
        alone, together = alone + float((values**2).sum()), together + float((sums**2).sum())
    if alone < 1e-18:
        return max(1.0, pairs / instances) if instances else 1.0
    return max(1.0, together / alone)


def _clustered_error(metric: Metric) -> float:
    """Standard error of the difference, leaving out one instance with all its variants after the other."""
    weights = metric.weights
    variance = 0.0
    for scenario in {cell.scenario for cell in metric.cells}:
        mine = [c for c, cell in enumerate(metric.cells) if cell.scenario == scenario]
        places = np.unique(np.concatenate([metric.cells[c].order for c in mine]))
        left = np.zeros(len(places))
        for c in mine:
            cell = metric.cells[c]
            at = np.searchsorted(places, cell.order)
            for sign, side in ((-1, cell.base), (1, cell.candidate)):
                sums = np.zeros((len(places), side.sums.shape[1]))
                np.add.at(sums, at, side.sums)
                whole = float(metric.parts(c, side.total)[0])
                without = metric.parts(c, side.total - sums)[:, 0]
                left += sign * weights[c] * np.where(np.isnan(without), whole, without)
        if len(places) > 1:
            variance += (len(places) - 1) / len(places) * float(((left - left.mean()) ** 2).sum())
    return math.sqrt(variance)
