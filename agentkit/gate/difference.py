"""The difference of two versions in one metric: estimate, interval and p-value, all of one target."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy import special

from agentkit.gate.exchange import PERMUTATIONS, exchange_p, metric_values
from agentkit.gate.interval import jackknife, suite_interval, units_of
from agentkit.gate.metric import Metric
from agentkit.gate.proportions import population_error
from agentkit.measure.suite import FEWEST_SCENARIOS, t_quantile

Target = Literal["fixed_suite", "population"]
"""This very suite played again, or other scenarios of the same kind."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate less baseline in one metric; below 0 is worse, also for what is spent per success.

    There is no estimate where either side cannot be judged; `reason` then says why.
    """

    metric: str
    kind: str
    base: float | None
    """The baseline's number: a rate, or US dollars or seconds per success."""
    candidate: float | None
    estimate: float | None
    """Of rates in rate points (-0.05 is five points worse); of spending the log of the factor, sign turned."""
    low: float | None
    high: float | None
    level: float
    p_value: float | None
    """Two-sided, of the hypothesis that both versions behave alike (of a mean difference of 0 for the population)."""
    test: str | None
    target: Target
    paired: bool
    """Whether all of it rests on true pairs."""
    units: int
    """Pairs that both sides could be graded on, or graded trials of the smaller side; repeats of an instance count
    once. Steps that are averaged count by what they add to the mean, a product by its step with the fewest."""
    left_out: int
    """Trials without a counterpart that were not compared."""
    error: float | None
    """Standard error of the estimate."""
    relative: bool = False
    reason: str | None = None
    ungraded: int = 0
    """Pairs, or trials of the smaller side, that were compared and do not count in `units`."""

    def document(self) -> dict[str, Any]:
        """Plain JSON, every field of this record."""
        return {name: getattr(self, name) for name in self.__slots__}


def difference(
    metric: Metric,
    *,
    seed: int,
    level: float = 0.95,
    target: Target = "fixed_suite",
    permutations: int = PERMUTATIONS,
) -> Difference:
    """Compare both versions in one metric. Every random draw comes from `seed`."""
    base, candidate = metric_values(metric) if metric.cells else (math.nan, math.nan)
    units = math.floor(sum(units_of(metric, c) for c in range(len(metric.cells))) + 1e-6)
    compared = sum(min(len(cell.base.sums), len(cell.candidate.sums)) for cell in metric.cells)
    known = Difference(
        metric=metric.name,
        kind=metric.kind,
        base=_shown(metric, base),
        candidate=_shown(metric, candidate),
        estimate=None,
        low=None,
        high=None,
        level=level,
        p_value=None,
        test=None,
        target=target,
        paired=bool(metric.cells) and all(cell.paired for cell in metric.cells),
        units=units,
        left_out=sum(cell.left_out for cell in metric.cells),
        error=None,
        relative=metric.relative,
        reason=_unjudged(metric, base, candidate),
        ungraded=compared - units,
    )
    if known.reason is not None:
        return known
    if target == "population":
        return _population(metric, known)
    spread = jackknife(metric)
    low, high = suite_interval(metric, base, candidate, spread, level=level, seed=seed)
    p_value, test = exchange_p(metric, seed=seed, permutations=permutations)
    return replace(
        known,
        estimate=candidate - base,
        low=low,
        high=high,
        p_value=p_value,
        test=test,
        error=math.sqrt(spread.variance),
    )


def _shown(metric: Metric, value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return math.exp(-value) if metric.relative else value


def _unjudged(metric: Metric, base: float, candidate: float) -> str | None:
    if not metric.cells:
        return "no scenario that both versions played has it"
    for side, value in (("the baseline", base), ("the candidate", candidate)):
        if math.isfinite(value):
            continue
        sides = [cell.base if side == "the baseline" else cell.candidate for cell in metric.cells]
        parts = [metric.parts(c, it.total) for c, it in enumerate(sides)]
        missing = [cell.id for cell, part in zip(metric.cells, parts, strict=True) if np.isnan(part).any()]
        if metric.relative and not missing:
            return f"{side} never succeeded, so nothing was spent per success"
        what = {"cost": "known cost", "seconds": "known time", "pass_k": f"{metric.k} graded trials"}
        graded = "graded trial" + (" of which both versions were graded" if any(c.paired for c in metric.cells) else "")
        return f"{side}: no {what.get(metric.kind, graded)} of {', '.join(missing[:5])}{' …' * (len(missing) > 5)}"
    return None


def _population(metric: Metric, known: Difference) -> Difference:
    """t interval and t test over scenarios, whose differences are the sample; 8 of them or more."""
    names = sorted({cell.scenario for cell in metric.cells})
    values = np.zeros(len(names))
    for c, cell in enumerate(metric.cells):
        mine = metric.parts(c, cell.candidate.total)[..., 0] - metric.parts(c, cell.base.total)[..., 0]
        values[names.index(cell.scenario)] += metric.weights[c] * len(names) * float(mine)
    if metric.relative:
        return replace(known, reason="what is spent per success can be judged for this fixed suite only")
    if len(names) < FEWEST_SCENARIOS:
        fewest = f"it takes {FEWEST_SCENARIOS} scenarios or more to judge the population"
        return replace(known, reason=f"{fewest}, found {len(names)}")
    if np.ptp(values) < 1e-12:
        same = "all scenarios differ by the same, which shows no spread to judge the population by"
        return replace(known, reason=same)
    mean, error = float(values.mean()), population_error(values)
    half = t_quantile(len(values) - 1, known.level) * error
    return replace(
        known,
        estimate=mean,
        low=max(-1.0, mean - half),
        high=min(1.0, mean + half),
        p_value=2 * float(special.stdtr(len(values) - 1, -abs(mean) / error)),
        test="t_over_scenarios",
        error=error,
    )
