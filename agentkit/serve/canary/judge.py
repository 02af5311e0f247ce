"""A canary against the live traffic beside it: worse, clean, or still going."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from agentkit.config.serving import CanarySettings
from agentkit.gate.streams import difference_bounds, drop_path, no_worse_log_wealth
from agentkit.records import Arm
from agentkit.serve.canary.blocks import Outcome, blocks_of
from agentkit.serve.canary.judgement import CanaryVerdict, CriterionFigures, Judgement, Side
from agentkit.serve.canary.outcomes import Outcomes, answered, graded, graded_at, quick
from agentkit.serve.canary.watched import Watched
from agentkit.store import SeenExchange, SeenLabel

_BY_JUDGEMENTS = 0.6
"""Of alpha, what alarms by judgements share. The other two have the rest in halves: what is found by errors and slow
requests is found soon, since every request counts."""
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

    Alpha is shared by the alarms: judgements of conversations, and of the step that an adapter is to repair; errors;
    slow requests. Pure, and the same for the same records; evidence that was there stays, whatever comes later.
    """
    chosen = settings or CanarySettings()
    shares = watched.shares
    said = graded(exchanges, labels)
    limit, compared = _slow_limit(exchanges, chosen)
    slow = quick(compared, limit) if limit is not None else Outcomes((), ())
    part = _BY_JUDGEMENTS / (2 if watched.repairs else 1)
    rest = (1 - _BY_JUDGEMENTS) / 2
    figures = partial(_figures, shares=shares, alpha=chosen.alpha)
    criteria = [figures("feedback", said, part, chosen.min_drop)]
    if step := watched.repairs:
        criteria += [figures("step", graded_at(step, exchanges, labels), part, chosen.min_drop, of=step)]
    criteria += [figures("errors", answered(exchanges), rest, chosen.min_errors)]
    criteria += [figures("latency", slow, rest, chosen.min_slow, limit=limit)]
    margin = chosen.margin * (1 - 2 * chosen.wrong_labels)
    no_worse = math.exp(min(no_worse_log_wealth(blocks_of(said.first, shares), margin), _MOST))
    verdict, reasons = _verdict(criteria, no_worse, margin, chosen)
    return Judgement(
        verdict, reasons, watched.agent, watched.step, watched.target, watched.since, tuple(shares),
        tuple(criteria), no_worse, 1 / chosen.alpha, chosen.min_graded, margin,
    )  # fmt: skip


def _figures(
    name: str,
    outcomes: Outcomes,
    part: float,
    minimum: float,
    *,
    shares: Mapping[int, float],
    alpha: float,
    of: str = "",
    limit: float | None = None,
) -> CriterionFigures:
    """`part`: of alpha, what this criterion's alarm has."""
    blocks = blocks_of(outcomes.first, shares)
    path = drop_path(blocks)
    low, high = difference_bounds(blocks, level=1 - alpha)
    live, canary = (_side(outcomes.now, arm) for arm in (Arm.LIVE, Arm.CANARY))
    e_value = math.exp(min(max(0.0, float(path.max())), _MOST)) if len(path) else 1.0
    return CriterionFigures(
        name, live, canary, _difference(outcomes.now), low, high, len(blocks), e_value, 1 / (part * alpha), minimum,
        limit, of,
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
    what = {
        "feedback": "conversations judged good",
        "step": f"{it.of} judged good",
        "errors": "requests answered",
        "latency": "requests quick enough",
    }
    live, canary = (f"{it_.good} of {it_.known}" for it_ in (it.live, it.canary))
    return (
        f"{what[it.name]}: {canary} beside {live}, {100 * abs(it.difference or 0):.0f} points worse "
        f"(e = {it.e_value:,.3g}, {it.needed:,.3g} needed)"
    )
