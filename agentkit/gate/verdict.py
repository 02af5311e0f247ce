"""The one verdict: used by CI, by promotion and by the canary.

**fail**: a drop is shown, significant with all criteria together and larger than the minimum effect. **pass**: no
criterion fails, and each rules out a drop of the margin or more. **inconclusive**: neither, with what it would take to
know. **could not judge**: the comparison itself does not stand, or there is nothing to compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.gate.comparable import notes_on, problems_of
from agentkit.gate.difference import Difference, difference
from agentkit.gate.exchange import PERMUTATIONS
from agentkit.gate.judged import Judged, Outcome, judge_difference, judge_safety
from agentkit.gate.multiple import benjamini_hochberg, holm
from agentkit.gate.pairs import Matched, match
from agentkit.gate.plan import non_inferiority_power
from agentkit.gate.quarantine import Quarantine
from agentkit.gate.recorded import Recorded
from agentkit.gate.safety import Own, own_steps, safety_figures
from agentkit.gate.settings import GateSettings, criteria, shares, step_metric
from agentkit.gate.wording import percent

_FEWEST_PAIRS = 100
_DISCORDANCE = 0.10
"""Pairs that a claim of non-inferiority should rest on, and the share of them taken to differ."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A step that looks worse; a hint, which decides nothing."""

    step: str
    difference: Difference
    q_value: float
    """Of all steps with at most this q-value, about that share is suspected wrongly (Benjamini and Hochberg)."""

    def document(self) -> dict[str, Any]:
        return {"step": self.step, "difference": self.difference.document(), "q_value": self.q_value}


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The verdict with everything it rests on."""

    outcome: Outcome
    sentence: str
    """The verdict in one sentence."""
    reasons: tuple[str, ...]
    """Why, the most important first."""
    judged: tuple[Judged, ...]
    suspects: tuple[Suspect, ...]
    notes: tuple[str, ...]
    """What a reader must know beside: quarantined steps, scenarios that are new, trials that were left out."""
    alpha: float
    mode: str
    target: str
    base: str
    """Agent and run of the baseline."""
    candidate: str

    def document(self) -> dict[str, Any]:
        """Plain JSON: no NaN, None where a number does not exist."""
        return {
            "outcome": self.outcome.value,
            "exit_code": int(self.outcome.exit_code),
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "criteria": [it.document() for it in self.judged],
            "suspects": [it.document() for it in self.suspects],
            "notes": list(self.notes),
            "alpha": self.alpha,
            "mode": self.mode,
            "target": self.target,
            "base": self.base,
            "candidate": self.candidate,
        }


def judge(
    base: Recorded,
    candidate: Recorded,
    settings: GateSettings,
    *,
    quarantined: Sequence[Quarantine] = (),
    permutations: int = PERMUTATIONS,
    suspects: bool = True,
) -> GateVerdict:
    """Compare a candidate with its baseline.

    `quarantined` holds quarantines in force (`quarantine.in_force`): their steps are left out on both sides and named
    in the notes. Raises `UsageError` where the settings name steps that do not exist.
    """
    problems = problems_of(base, candidate, settings)
    without = {it.step for it in quarantined}
    cells = match(base, candidate, without=without | steps_gone(base, candidate))
    own = own_steps(base, candidate, without=without)
    judged = judge_criteria(cells, own, settings, permutations=permutations) if cells else ()
    outcome = Outcome.NOT_JUDGED if problems else overall(judged)
    reasons = problems + tuple(it.reason for it in _by_weight(judged, outcome))
    return GateVerdict(
        outcome,
        sentence(outcome, reasons),
        reasons,
        judged,
        _suspects(cells, settings, permutations) if suspects else (),
        notes_on(base, candidate, cells, settings, quarantined) + power_note(judged, settings),
        settings.alpha,
        settings.mode,
        settings.target,
        f"{base.agent} ({base.run})",
        f"{candidate.agent} ({candidate.run})",
    )


def judge_criteria(
    cells: Sequence[Matched], own: Sequence[Own], settings: GateSettings, *, permutations: int = PERMUTATIONS
) -> tuple[Judged, ...]:
    """Every criterion, with Holm over all that block: comparisons of `cells`, and what the candidate's `own` trials say
    of safety."""
    chosen = criteria(cells, settings)
    level = 1 - settings.alpha if settings.mode == "regression" else 1 - 2 * settings.alpha
    found = [
        difference(
            it.metric,
            seed=settings.seed,
            level=level,
            # A step pooled over few scenarios says nothing of a population.
            target=settings.target if it.metric.kind != "steps" else "fixed_suite",
            permutations=permutations,
        )
        for it in chosen
    ]
    safe = safety_figures(own, settings)
    p_values = [
        it.p_value if it.p_value is not None else 1.0 for it, c in zip(found, chosen, strict=True) if c.blocking
    ]
    family = [*p_values, *(it.p_value for it in safe if it.blocking)]
    whole = [it.metric.kind != "steps" for it in chosen if it.blocking]
    share = shares(whole + [False] * (len(family) - len(whole)))
    adjusted, parts = iter(holm(family, share).tolist()), iter(share.tolist())
    return (
        *(
            judge_difference(c, it, next(adjusted), next(parts), settings)
            if c.blocking
            else judge_difference(c, it, None, 1.0, settings)
            for c, it in zip(chosen, found, strict=True)
        ),
        *(judge_safety(it, next(adjusted) if it.blocking else None, settings) for it in safe),
    )


def overall(judged: Sequence[Judged]) -> Outcome:
    """Worst first: one failure is a failure, and what could not be judged is never a pass."""
    blocking = {it.outcome for it in judged if it.blocking}
    for outcome in (Outcome.FAIL, Outcome.NOT_JUDGED, Outcome.INCONCLUSIVE, Outcome.PASS):
        if outcome in blocking:
            return outcome
    return Outcome.NOT_JUDGED


def power_note(judged: Sequence[Judged], settings: GateSettings) -> tuple[str, ...]:
    """For non-inferiority, how likely a candidate that is no different passes at all: too few pairs never can."""
    blocking = [it.difference for it in judged if it.blocking and it.difference is not None]
    rates = [it for it in blocking if not it.relative]
    if settings.mode != "non_inferiority" or not rates:
        return ()
    fewest = min(it.units for it in rates)
    power = non_inferiority_power(
        max(fewest, 1), discordance=_DISCORDANCE, margin=settings.margin, criteria=len(rates), alpha=settings.alpha
    )
    few = f"; play {_FEWEST_PAIRS} or more" if fewest < _FEWEST_PAIRS else ""
    return (
        f"with {fewest} pairs, {percent(_DISCORDANCE)} of them differing, a candidate that is no worse passes "
        f"{'all of ' if len(rates) > 1 else ''}{len(rates)} criteri{'a' if len(rates) > 1 else 'on'} "
        f"with a chance of {percent(round(power, 2))}{few}",
    )


def sentence(outcome: Outcome, reasons: Sequence[str]) -> str:
    """The verdict and its first reason."""
    said = {
        Outcome.PASS: "pass",
        Outcome.FAIL: "fail",
        Outcome.INCONCLUSIVE: "inconclusive",
        Outcome.NOT_JUDGED: "could not judge",
    }[outcome]
    return f"{said}: {reasons[0] if reasons else 'there is nothing to compare'}"


def _by_weight(judged: Sequence[Judged], outcome: Outcome) -> list[Judged]:
    """Those that made the verdict first, advice last."""
    order = [outcome, Outcome.FAIL, Outcome.NOT_JUDGED, Outcome.INCONCLUSIVE, Outcome.PASS]
    return sorted(judged, key=lambda it: (not it.blocking, order.index(it.outcome)))


def steps_gone(base: Recorded, candidate: Recorded) -> set[str]:
    """Steps of the baseline that the candidate lacks: named as a problem, or accepted."""
    theirs = {cell.id: set(cell.steps) for cell in candidate.cells}
    return {
        f"{cell.id}#{step}"
        for cell in base.cells
        for step in cell.steps
        if cell.id in theirs and step not in theirs[cell.id]
    }


def _suspects(cells: Sequence[Matched], settings: GateSettings, permutations: int) -> tuple[Suspect, ...]:
    found = []
    for step in (step for cell in cells for step in cell.step_ids):
        it = difference(
            step_metric(cells, f"step {step}", (step,)),
            seed=settings.seed,
            level=1 - settings.alpha,
            permutations=permutations,
        )
        if it.p_value is not None:
            found.append((step, it, it.p_value))
    q_values = benjamini_hochberg([p_value for _, _, p_value in found]).tolist()
    worse = [
        Suspect(step, it, q)
        for (step, it, _), q in zip(found, q_values, strict=True)
        if q <= settings.alpha and it.estimate is not None and it.estimate < 0
    ]
    return tuple(sorted(worse, key=lambda suspect: (suspect.q_value, suspect.difference.estimate, suspect.step)))
