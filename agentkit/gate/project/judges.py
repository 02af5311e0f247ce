"""LLM judges in a verdict: what an uncalibrated one says is advice, what a calibrated one says is shown corrected."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agentkit.errors import NotJudged, UsageError
from agentkit.gate.judge_calibration import corrected_rate
from agentkit.gate.pairs import Matched, match
from agentkit.gate.project.calibration import Calibrated
from agentkit.gate.project.sides import Side
from agentkit.gate.quarantine import Quarantine
from agentkit.gate.recorded import Recorded
from agentkit.gate.safety import Own, own_steps
from agentkit.gate.settings import GateSettings, Selectable, select
from agentkit.gate.verdict import GateVerdict, judge, judge_criteria, steps_gone
from agentkit.gate.wording import percent
from agentkit.measure import FAILED, PASSED


@dataclass(frozen=True, slots=True)
class Advice:
    """What of a comparison rests on a judge that is not to be trusted yet."""

    steps: frozenset[str] = frozenset()
    """`scenario/variant#step`."""
    success: bool = False
    """Whether outcomes are among it, so that success is advice, too."""
    notes: tuple[str, ...] = ()


def advice(base: Side, candidate: Side, calibrated: Calibrated | None) -> Advice:
    """What is advice, and why, in words."""
    judged = base.judged | candidate.judged
    outcomes = base.judged_outcomes | candidate.judged_outcomes
    if not judged and not outcomes:
        return Advice()
    judges = [side.recorded.judge for side in (candidate, base)]
    told = {it: _mistrust(it, judges, calibrated) for it in sorted(judged | outcomes)}
    untrusted = {it for it, why in told.items() if why is not None}
    notes = [f"advice only, since {why}" for why in dict.fromkeys(told.values()) if why is not None]
    if calibrated is not None:
        notes += calibrated_notes(candidate, calibrated, (judged | outcomes) - untrusted)
    return Advice(frozenset(judged & untrusted), bool(outcomes & untrusted), tuple(notes))


def judge_sides(
    base: Recorded,
    candidate: Recorded,
    settings: GateSettings,
    found: Advice,
    quarantined: Sequence[Quarantine] = (),
) -> GateVerdict:
    """The verdict without what is advice, and the advice beside it."""
    blocking = blocking_settings(base, candidate, settings, found, quarantined)
    kept = without(base, found.steps), without(candidate, found.steps)
    verdict = judge(*kept, blocking, quarantined=outside(quarantined, found))
    return with_advice(verdict, base, candidate, settings, found, quarantined)


def blocking_settings(
    base: Recorded, candidate: Recorded, settings: GateSettings, found: Advice, quarantined: Sequence[Quarantine]
) -> GateSettings:
    """The settings of what blocks. Selectors of steps that are advice, in quarantine or gone are left out, as each of
    these is told elsewhere; those that name nothing at all stay, to be complained of."""
    sides = without(base, found.steps), without(candidate, found.steps)
    kept, safe = _able(*sides, quarantined), _own(*sides, quarantined)
    every = match(base, base)
    known: tuple[Selectable, ...] = (*every, *own_steps(base, candidate))
    blocking = replace(
        settings,
        steps=tuple(it for it in settings.steps if names(kept, it) or not names(every, it)),
        safety={it: limit for it, limit in settings.safety.items() if names(safe, it) or not names(known, it)},
        compounded=settings.compounded and any(cell.steps for cell in kept),
        off_path=settings.off_path and any(cell.steps for cell in kept),
    )
    if found.success:
        return replace(blocking, success=False, pass_k=(), cost=False, seconds=False)
    return blocking


def with_advice(
    verdict: GateVerdict,
    base: Recorded,
    candidate: Recorded,
    settings: GateSettings,
    found: Advice,
    quarantined: Sequence[Quarantine] = (),
) -> GateVerdict:
    """The verdict, and beside it criteria that are shown and never block."""
    if not found.steps and not found.success:
        return replace(verdict, notes=(*verdict.notes, *found.notes))
    cells, own = _able(base, candidate, quarantined), _own(base, candidate, quarantined)
    steps = sorted(step for cell in cells for step in cell.step_ids if step in found.steps)
    named = [it for it in settings.steps if set(_selected(cells, it)) & found.steps]
    advisory = replace(
        settings,
        success=settings.success and found.success,
        pass_k=settings.pass_k if found.success else (),
        cost=settings.cost and found.success,
        seconds=settings.seconds and found.success,
        compounded=False,
        off_path=False,
        steps=tuple(dict.fromkeys((*named, *steps))),
        safety={it: limit for it, limit in settings.safety.items() if set(_selected(own, it)) & found.steps},
        advisory=found.steps,
    )
    judged = judge_criteria(cells, own, advisory) if cells else ()
    beside = tuple(replace(it, blocking=False, adjusted_p=None) for it in judged)
    return replace(verdict, judged=(*verdict.judged, *beside), notes=(*verdict.notes, *found.notes))


def _able(base: Recorded, candidate: Recorded, quarantined: Sequence[Quarantine]) -> tuple[Matched, ...]:
    return match(base, candidate, without={it.step for it in quarantined} | steps_gone(base, candidate))


def _own(base: Recorded, candidate: Recorded, quarantined: Sequence[Quarantine]) -> tuple[Own, ...]:
    return own_steps(base, candidate, without={it.step for it in quarantined})


def without(side: Recorded, steps: Collection[str]) -> Recorded:
    """The record without some steps."""
    if not steps:
        return side
    cells = []
    for cell in side.cells:
        kept = [k for k, step in enumerate(cell.steps) if f"{cell.id}#{step}" not in steps]
        named = tuple(cell.steps[k] for k in kept)
        skills = tuple(cell.skills[k] for k in kept) if cell.skills else ()
        cells.append(replace(cell, steps=named, skills=skills, grades=cell.grades[:, kept]))
    return replace(side, cells=tuple(cells))


def outside(quarantined: Sequence[Quarantine], found: Advice) -> tuple[Quarantine, ...]:
    """The quarantines of steps that are not advice anyway."""
    return tuple(it for it in quarantined if it.step not in found.steps)


def calibrated_notes(candidate: Side, calibrated: Calibrated, trusted: Collection[str]) -> list[str]:
    """The judge's sensitivity and specificity, and what people would have said of the candidate."""
    notes = [calibrated.sentence]
    judged = _judgements(candidate.recorded, trusted)
    if not len(judged):
        return notes
    human, machine = calibrated.arrays()
    try:
        found = corrected_rate(human, machine, judged)
    except NotJudged as error:
        return [*notes, f"its rate cannot be corrected: {error}"]
    return [
        *notes,
        f"of {len(judged)} replies of the candidate it passed {percent(found.judged)}; people would pass about "
        f"{percent(found.estimate)} ({percent(found.low)} to {percent(found.high)})",
    ]


def _judgements(side: Recorded, steps: Collection[str]) -> np.ndarray:
    found = [
        cell.grades[:, k][np.isin(cell.grades[:, k], (PASSED, FAILED))] == PASSED
        for cell in side.cells
        for k, step in enumerate(cell.steps)
        if f"{cell.id}#{step}" in steps
    ]
    return np.concatenate(found).astype(float) if found else np.zeros(0)


def _mistrust(step: str, judges: Sequence[str | None], calibrated: Calibrated | None) -> str | None:
    """Why a step's judges, those of both sides as far as they are known, may not block; None where they may."""
    if calibrated is None:
        return "an LLM judge graded it that was not calibrated (agentkit calibrate)"
    for name in judges:
        if name is not None and name != calibrated.judge:
            return f"{name} judged it, and {calibrated.judge} is the judge that was calibrated"
    return calibrated.mistrust(step)


def names(cells: Sequence[Selectable], selector: str) -> bool:
    """Whether a selector names a step of these."""
    return bool(_selected(cells, selector))


def _selected(cells: Sequence[Selectable], selector: str) -> tuple[str, ...]:
    """The steps that a selector names, of these; none where it names nothing."""
    try:
        return select(cells, selector.removeprefix("each:"))
    except UsageError:
        return ()
