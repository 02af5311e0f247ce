"""Gates that look after every round and stop as soon as the evidence suffices.

Alpha is split. `alpha_abort` goes to e-processes, which may be looked at as often as one likes: with m criteria the
run is aborted as failed where one reaches `m / alpha_abort` (e >= 100 for one, .01 being the default). The rest goes
to the ordinary exact tests once everything planned has been played. Both together keep the false alarms of all looks
within alpha.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from agentkit.errors import UsageError
from agentkit.gate.comparable import notes_on, problems_of
from agentkit.gate.evidence import evidence_path, no_worse_wealth
from agentkit.gate.exchange import PERMUTATIONS, metric_values
from agentkit.gate.judged import ROUNDING, Judged, Outcome
from agentkit.gate.pairs import match
from agentkit.gate.quarantine import Quarantine
from agentkit.gate.recorded import Recorded
from agentkit.gate.safety import Own, own_steps
from agentkit.gate.settings import Criterion, GateSettings, criteria
from agentkit.gate.verdict import GateVerdict, judge, judge_criteria, overall, sentence, steps_gone
from agentkit.gate.wording import points


class Next(StrEnum):
    """What to do now."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Rule:
    """When a gate in rounds may stop. Raises `UsageError` where alpha is not split."""

    alpha_abort: float = 0.01
    """Share of alpha for stopping early with a failure."""
    early_pass: bool = False
    """Whether to stop as soon as a drop of the margin is ruled out for every criterion, too. That saves most trials
    where nothing changed, and costs power against drops smaller than the margin: what would have failed later passes
    early."""
    adaptive: bool = False
    """Whether trials are spent where the verdict is open (`adaptive.next_cells`). Then ordinary tests and intervals do
    not hold, and the e-processes alone decide, with all of alpha: e >= 20 m."""

    def check(self, settings: GateSettings) -> None:
        if not 0 < self.alpha_abort < settings.alpha:
            raise UsageError(
                f"alpha_abort: found {self.alpha_abort}, expected more than 0 and less than alpha, {settings.alpha}"
            )
        if settings.target != "fixed_suite":
            raise UsageError(
                "a gate in rounds judges this fixed suite; the population can be judged of a whole run only"
            )
        if self.adaptive and settings.mode != "regression":
            raise UsageError("an adaptive gate looks for a drop; for non-inferiority play a fixed number of trials")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One criterion's e-processes so far."""

    name: str
    e_value: float | None
    """Against "both versions behave alike"; None where the criterion has no bet and waits for the final test."""
    needed: float
    """The e-value at which the run stops."""
    no_worse: float | None
    """The greatest so far against "worse by the margin or more"; None where there is no such bet."""
    estimate: float | None
    """Candidate less baseline so far."""

    def document(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Round:
    """Where a gate stands after a round."""

    next: Next
    evidence: tuple[Evidence, ...]
    verdict: GateVerdict | None
    """None as long as the gate goes on."""
    early: bool
    """Whether it stopped before everything planned was played. The estimate of a run stopped by a failure leans towards
    the drop."""

    def document(self) -> dict[str, Any]:
        return {
            "next": self.next.value,
            "early": self.early,
            "evidence": [it.document() for it in self.evidence],
            "verdict": self.verdict.document() if self.verdict else None,
        }


def judge_round(
    base: Recorded,
    candidate: Recorded,
    settings: GateSettings,
    rule: Rule,
    *,
    finished: bool,
    quarantined: Sequence[Quarantine] = (),
    permutations: int = PERMUTATIONS,
) -> Round:
    """Judge all that the candidate has played so far, in its order; `finished` where nothing more will be played.

    Looks at the records alone, so that a run that was interrupted goes on where it stood.
    """
    rule.check(settings)
    problems = problems_of(base, candidate, settings)
    without = {it.step for it in quarantined} | steps_gone(base, candidate)
    cells = match(base, candidate, without=without)
    chosen = [it for it in criteria(cells, settings) if it.blocking]
    evidence = weigh(chosen, settings, rule)
    if finished and not rule.adaptive:
        final = replace(settings, alpha=settings.alpha - rule.alpha_abort)
        verdict = judge(base, candidate, final, quarantined=quarantined, permutations=permutations)
        if verdict.outcome is not Outcome.NOT_JUDGED:
            verdict = replace(verdict, alpha=settings.alpha)
            if failed := _failed(chosen, evidence, settings):
                verdict = _aborted(verdict, failed)
        return Round(Next.STOP, evidence, verdict, False)
    failed = _failed(chosen, evidence, settings)
    passed = not failed and (rule.early_pass or rule.adaptive) and _no_worse(evidence, settings)
    if problems and not finished:
        return Round(Next.CONTINUE, evidence, None, False)
    if not (failed or passed or finished):
        return Round(Next.CONTINUE, evidence, None, False)
    outcome = Outcome.FAIL if failed else Outcome.PASS if passed else Outcome.INCONCLUSIVE
    reasons = failed or (_passes(evidence, settings) if passed else _undecided(evidence))
    if not chosen or problems:
        outcome, reasons = Outcome.NOT_JUDGED, problems
    if outcome is Outcome.PASS and settings.safety:
        outcome, reasons = _with_safety(own_steps(base, candidate, without=without), settings, reasons, permutations)
        if outcome is not Outcome.PASS and not finished:
            return Round(Next.CONTINUE, evidence, None, False)
    notes = notes_on(base, candidate, cells, settings, quarantined)
    verdict = GateVerdict(
        outcome, sentence(outcome, reasons), reasons, (), (), notes, settings.alpha, settings.mode, settings.target,
        f"{base.agent} ({base.run})", f"{candidate.agent} ({candidate.run})",
    )  # fmt: skip
    return Round(Next.STOP, evidence, verdict, not finished)


def weigh(chosen: Sequence[Criterion], settings: GateSettings, rule: Rule) -> tuple[Evidence, ...]:
    """Each criterion's e-values. A criterion without a bet takes no share of alpha."""
    paths = [evidence_path(it.metric) if it.metric.cells else None for it in chosen]
    bets = sum(path is not None for path in paths)
    needed = bets / (settings.alpha if rule.adaptive else rule.alpha_abort)
    found = []
    for it, path in zip(chosen, paths, strict=True):
        e_value = None if path is None else math.exp(min(path[-1], 700.0)) if len(path) else 1.0
        wealth = no_worse_wealth(it.metric, it.margin) if rule.early_pass or rule.adaptive else None
        base, candidate = metric_values(it.metric) if it.metric.cells else (math.nan, math.nan)
        estimate = candidate - base if math.isfinite(candidate - base) else None
        no_worse = None if wealth is None else math.exp(min(wealth, 700.0))
        found.append(Evidence(it.metric.name, e_value, needed, no_worse, estimate))
    return tuple(found)


def _failed(chosen: Sequence[Criterion], evidence: Sequence[Evidence], settings: GateSettings) -> tuple[str, ...]:
    """In words, every criterion whose e-value suffices and whose drop counts in this mode."""
    return tuple(
        f"{it.name} is {points(it.estimate)} lower so far, and the evidence suffices to stop "
        f"(e = {it.e_value:,.0f}, {it.needed:,.0f} needed)"
        for c, it in zip(chosen, evidence, strict=True)
        if it.e_value is not None
        and it.e_value >= it.needed
        and it.estimate is not None
        and it.estimate < -c.too_far(settings.mode) - ROUNDING
    )


def _no_worse(evidence: Sequence[Evidence], settings: GateSettings) -> bool:
    """All criteria must rule out the margin, so none needs a share of alpha."""
    return len(evidence) > 0 and all(it.no_worse is not None and it.no_worse >= 1 / settings.alpha for it in evidence)


def _passes(evidence: Sequence[Evidence], settings: GateSettings) -> tuple[str, ...]:
    ruled_out = f"{points(settings.margin)} lower is ruled out"
    return tuple(f"{it.name}: {ruled_out} (e = {it.no_worse:,.0f}, {1 / settings.alpha:.0f} needed)" for it in evidence)


def _undecided(evidence: Sequence[Evidence]) -> tuple[str, ...]:
    return tuple(
        f"{it.name}: neither a drop nor its absence is shown"
        + (f" (e = {it.e_value:.1f} of {it.needed:,.0f})" if it.e_value is not None else "")
        for it in evidence
    )


def _aborted(verdict: GateVerdict, failed: tuple[str, ...]) -> GateVerdict:
    """The verdict at the end, where an e-process had enough as well."""
    reasons = verdict.reasons if verdict.outcome is Outcome.FAIL else (*failed, *verdict.reasons)
    return replace(verdict, outcome=Outcome.FAIL, reasons=reasons, sentence=sentence(Outcome.FAIL, reasons))


def _with_safety(
    own: Sequence[Own], settings: GateSettings, reasons: tuple[str, ...], permutations: int
) -> tuple[Outcome, tuple[str, ...]]:
    """An early pass needs the safety steps' bounds as well."""
    alone = replace(
        settings, success=False, compounded=False, off_path=False, steps=(), pass_k=(), cost=False, seconds=False
    )
    judged: tuple[Judged, ...] = judge_criteria((), own, alone, permutations=permutations)
    outcome = overall(judged)
    return outcome, (*(it.reason for it in judged), *reasons)
