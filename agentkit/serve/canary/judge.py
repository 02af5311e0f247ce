"""A canary against the live traffic beside it: worse, clean, or still going."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from agentkit.config.serving import CanarySettings
from agentkit.gate.streams import Blocks, difference_bounds, drop_path, no_worse_log_wealth
from agentkit.records import Arm
from agentkit.serve.canary.blocks import Outcome, blocks_of
from agentkit.serve.canary.judgement import CanaryVerdict, CriterionFigures, Judgement, Side
from agentkit.serve.canary.outcomes import Outcomes, answered, graded, quick
from agentkit.serve.canary.watched import Watched
from agentkit.store import SeenExchange, SeenLabel

_CRITERIA = 3
_MEASURED = 50
"""Live requests from which the limit for slow ones is measured; they are not compared themselves."""
_QUANTILE = 0.9
_MOST = 700.0
"""Log of the greatest e-value that is shown."""


def judge(
    watched: Watched,
    exchanges: Sequence[SeenExchange],
    labels: Sequence[SeenLabel],
    settings: CanarySettings | None = None,
) -> Judgement:
    """Judge a canary by its route's requests and by what was said of them, both in the order in which they came in.

    Alpha is shared by three alarms: judgements, errors, slow requests. Pure, and the same for the same records;
    evidence that was there stays, whatever comes later.
    """
    chosen = settings or CanarySettings()
    shares = watched.shares
    said = graded(exchanges, labels)
    blocks = blocks_of(said.first, shares)
    limit, compared = _slow_limit(exchanges, chosen)
    slow = quick(compared, limit) if limit is not None else Outcomes((), ())
    criteria = (
        _figures("feedback", said, blocks, shares, chosen.min_drop, chosen),
        _figures("errors", answered(exchanges), None, shares, chosen.min_errors, chosen),
        _figures("latency", slow, None, shares, chosen.min_slow, chosen, limit),
    )
    margin = chosen.margin * (1 - 2 * chosen.wrong_labels)
    no_worse = math.exp(min(no_worse_log_wealth(blocks, margin), _MOST))
    verdict, reasons = _verdict(criteria, no_worse, margin, chosen)
    return Judgement(
        verdict, reasons, watched.agent, watched.step, watched.target, watched.since, tuple(shares), criteria,
        no_worse, 1 / chosen.alpha, chosen.min_graded, margin,
    )  # fmt: skip


def _figures(
    name: str,
    outcomes: Outcomes,
    blocks: Blocks | None,
    shares: Mapping[int, float],
    minimum: float,
    settings: CanarySettings,
    limit: float | None = None,
) -> CriterionFigures:
    found = blocks_of(outcomes.first, shares) if blocks is None else blocks
    path = drop_path(found)
    low, high = difference_bounds(found, level=1 - settings.alpha)
    live, canary = (_side(outcomes.now, arm) for arm in (Arm.LIVE, Arm.CANARY))
    e_value = math.exp(min(max(0.0, float(path.max())), _MOST)) if len(path) else 1.0
    return CriterionFigures(
        name, live, canary, _difference(outcomes.now), low, high, len(found), e_value, _CRITERIA / settings.alpha,
        minimum, limit,
    )  # fmt: skip


def _side(outcomes: Sequence[Outcome], arm: Arm) -> Side:
    mine = [it.good for it in outcomes if it.arm is arm]
    return Side(sum(mine), len(mine))


def _difference(outcomes: Sequence[Outcome]) -> float | None:
    """Within revisions, since shares and times differ between them; weighted by the canary's conversations."""
    total = weight = 0.0
    for revision in {it.revision for it in outcomes}:
        here = [it for it in outcomes if it.revision == revision]
        live, canary = _side(here, Arm.LIVE), _side(here, Arm.CANARY)
        if live.rate is not None and canary.rate is not None:
            total += canary.known * (canary.rate - live.rate)
            weight += canary.known
    return total / weight if weight else None


def _slow_limit(
    exchanges: Sequence[SeenExchange], settings: CanarySettings
) -> tuple[float | None, Sequence[SeenExchange]]:
    """The limit, and the requests that it was not measured from; None where too few are known to measure it."""
    if settings.slow_seconds is not None:
        return settings.slow_seconds, exchanges
    times: list[float] = []
    for place, it in enumerate(exchanges):
        if it.arm is Arm.LIVE and it.status < 400 and it.error is None:
            times.append(it.latency)
        if len(times) == _MEASURED:
            return settings.slow_factor * float(np.quantile(times, _QUANTILE)), exchanges[place + 1 :]
    return None, ()


def _verdict(
    criteria: Sequence[CriterionFigures], no_worse: float, margin: float, settings: CanarySettings
) -> tuple[CanaryVerdict, tuple[str, ...]]:
    alarms = tuple(_alarm(it) for it in criteria if it.alarm)
    if alarms:
        return CanaryVerdict.ROLL_BACK, alarms
    feedback = criteria[0]
    missing = [
        f"{settings.min_graded - side.known} more judged conversations of the {name}"
        for name, side in (("canary", feedback.canary), ("live arm", feedback.live))
        if side.known < settings.min_graded
    ]
    points, needed = f"a drop of {100 * margin:.3g} points", 1 / settings.alpha
    if no_worse < needed:
        missing.append(f"evidence against {points} (e = {no_worse:.3g} of {needed:.3g})")
    if missing:
        return CanaryVerdict.GOING, (f"to be clean it needs {' and '.join(missing)}",)
    judged = f"{feedback.canary.known} and {feedback.live.known} conversations judged"
    return CanaryVerdict.CLEAN, (f"{judged}, {points} is ruled out (e = {no_worse:.3g}), no alarm",)


def _alarm(it: CriterionFigures) -> str:
    what = {"feedback": "conversations judged good", "errors": "requests answered", "latency": "requests quick enough"}
    live, canary = (f"{it_.good} of {it_.known}" for it_ in (it.live, it.canary))
    return (
        f"{what[it.name]}: {canary} beside {live}, {100 * abs(it.difference or 0):.0f} points worse "
        f"(e = {it.e_value:,.3g}, {it.needed:,.3g} needed)"
    )
