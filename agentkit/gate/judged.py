"""One criterion judged, with the reason in words and what it would take to know."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from scipy import special

from agentkit.errors import ExitCode
from agentkit.gate.difference import Difference
from agentkit.gate.safety import SafetyFigure
from agentkit.gate.settings import Criterion, GateSettings
from agentkit.gate.wording import amount, change, interval, percent, probability, worth

ROUNDING = 1e-12
"""A drop of exactly the minimum effect is not beyond it, whatever the last bit of a sum says."""


class Outcome(StrEnum):
    """What a gate says."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_JUDGED = "could_not_judge"

    @property
    def exit_code(self) -> ExitCode:
        return {
            Outcome.PASS: ExitCode.PASS,
            Outcome.FAIL: ExitCode.FAIL,
            Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
            Outcome.NOT_JUDGED: ExitCode.NOT_JUDGED,
        }[self]


@dataclass(frozen=True, slots=True)
class Judged:
    """One criterion."""

    name: str
    outcome: Outcome
    blocking: bool
    """False for what is shown as advice."""
    reason: str
    """In words."""
    difference: Difference | None
    """None for a safety step, which has a limit and no comparison."""
    safety: SafetyFigure | None
    adjusted_p: float | None
    """After Holm, over all blocking criteria; None for advice and where there is no p-value."""
    min_effect: float | None
    margin: float | None
    more: int | None
    """About how many more pairs (or trials a side) would decide it, the difference staying as it is; None where it is
    decided or no number would."""

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "name": self.name,
            "outcome": self.outcome.value,
            "blocking": self.blocking,
            "reason": self.reason,
            "difference": self.difference.document() if self.difference else None,
            "safety": self.safety.document() if self.safety else None,
            "adjusted_p": self.adjusted_p,
            "min_effect": self.min_effect,
            "margin": self.margin,
            "more": self.more,
        }


def judge_difference(
    it: Criterion, found: Difference, adjusted: float | None, share: float, settings: GateSettings
) -> Judged:
    """A criterion by its difference. `adjusted` is its p-value after Holm, None for advice; `share` its part of
    alpha."""
    outcome, more = Outcome.NOT_JUDGED, None
    if found.estimate is not None:
        outcome = _outcome(it, found, adjusted, settings)
        more = _more(it, found, adjusted, share, settings) if outcome is Outcome.INCONCLUSIVE else None
    reason = _reason(it, found, outcome, adjusted, more, settings)
    return Judged(it.metric.name, outcome, it.blocking, reason, found, None, adjusted, it.min_effect, it.margin, more)


def _outcome(it: Criterion, found: Difference, adjusted: float | None, settings: GateSettings) -> Outcome:
    assert found.estimate is not None
    assert found.low is not None
    assert found.p_value is not None
    p_value = found.p_value if adjusted is None else adjusted
    too_far = it.too_far(settings.mode)
    if p_value <= settings.alpha and found.estimate < -too_far - ROUNDING:
        return Outcome.FAIL
    return Outcome.PASS if found.low > -it.margin else Outcome.INCONCLUSIVE


def _more(it: Criterion, found: Difference, adjusted: float | None, share: float, settings: GateSettings) -> int | None:
    """The fewest units more that decide it if the difference stays, and as many of them are graded: distances in
    standard errors grow with the root of their number."""
    assert found.estimate is not None
    assert found.low is not None
    assert found.p_value is not None
    needed = []
    too_far = it.too_far(settings.mode)
    if found.estimate > -it.margin:
        needed.append(((found.estimate - found.low) / (found.estimate + it.margin)) ** 2)
    if found.estimate < -too_far - ROUNDING and 0 < found.p_value < 1:
        factor = 1.0 if adjusted is None else adjusted / found.p_value if adjusted < 1 else 1 / share
        z = special.ndtri(np.array([settings.alpha / factor / 2, found.p_value / 2]))
        needed.append(float(z[0] / z[1]) ** 2)
    wanted = [(found.units + found.ungraded) * (factor - 1) for factor in needed if factor > 1]
    return max(1, math.ceil(min(wanted))) if wanted else None


def _reason(
    it: Criterion,
    found: Difference,
    outcome: Outcome,
    adjusted: float | None,
    more: int | None,
    settings: GateSettings,
) -> str:
    if found.estimate is None:
        return f"{found.metric} could not be judged: {found.reason}"
    assert found.low is not None
    assert found.p_value is not None
    said = f"{change(found)} ({interval(found)}; {worth(found)})"
    many = "" if adjusted is None or adjusted == found.p_value else ", all criteria taken together"
    p_value = probability(found.p_value if adjusted is None else adjusted) + many
    limit = it.too_far(settings.mode)
    beyond = f"more than the {amount(found, limit)} that do not count" if limit > 0 else "any drop counts"
    match outcome:
        case Outcome.FAIL:
            return f"{said}: worse, {p_value}, and {beyond}"
        case Outcome.PASS:
            return f"{said}: {amount(found, it.margin)} {'more' if found.relative else 'lower'} is ruled out"
        case _:
            return f"{said}: {_open(it, found, p_value)}; {_wanted(found, more)}"


def _open(it: Criterion, found: Difference, p_value: str) -> str:
    assert found.estimate is not None
    worst = f"{amount(found, it.margin)} {'more' if found.relative else 'lower'} is not ruled out"
    if found.estimate < -it.min_effect - ROUNDING:
        return f"{worst}, and no drop is shown ({p_value})"
    return worst


def _wanted(found: Difference, more: int | None) -> str:
    if more is None:
        return "more trials would have to show a smaller or a larger difference"
    return f"about {more:,} more {'pairs' if found.paired else 'trials a side'} would decide it if nothing else changes"


def judge_safety(it: SafetyFigure, adjusted: float | None, settings: GateSettings) -> Judged:
    """A safety step: passes only where the upper bound of its failure rate meets the limit."""
    outcome = Outcome.INCONCLUSIVE
    if it.trials == 0:
        outcome = Outcome.NOT_JUDGED
    elif it.upper <= it.limit:
        outcome = Outcome.PASS
    elif (it.p_value if adjusted is None else adjusted) <= settings.alpha:
        outcome = Outcome.FAIL
    more = max(1, it.needed - it.trials) if outcome is Outcome.INCONCLUSIVE else None
    played = f"safety {it.name}: {it.failures} of {it.trials} failed"
    limit = f"the limit of {percent(it.limit)}"
    match outcome:
        case Outcome.NOT_JUDGED:
            reason = f"safety {it.name} could not be judged: the candidate has no graded trial of it"
        case Outcome.PASS:
            reason = f"{played}, at most {percent(it.upper)}, within {limit}"
        case Outcome.FAIL:
            reason = f"{played}, which is shown to be more than {limit} ({probability(it.p_value)})"
        case _:
            further = (
                f"it takes {it.needed} trials without a failure" if it.failures == 0 else f"about {more} more needed"
            )
            reason = f"{played}, which leaves up to {percent(it.upper)} open, over {limit}; {further}"
    return Judged(f"safety {it.name}", outcome, it.blocking, reason, None, it, adjusted, None, None, more)
