"""What came of an item: its trials, its numbers, and whether that passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit.errors import UsageError, near_match
from agentkit.gate.rows import recorded
from agentkit.measure import Summary, summarize
from agentkit.measure.rows import cells
from agentkit.measure.suite import Figure
from agentkit.measure.summary import StepFigure
from agentkit.records import Run, Status, Trial, Verdict
from agentkit.scenario import Loaded
from agentkit.store import grade_row

if TYPE_CHECKING:
    from agentkit.gate.project.sides import Side


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether an item passes, and why."""

    outcome: str
    """`pass`, `fail`, `inconclusive` or `could_not_judge`."""
    reason: str
    notes: tuple[str, ...] = ()
    """What a reader must know beside, such as steps in quarantine."""

    @property
    def passed(self) -> bool:
        return self.outcome == "pass"


@dataclass(frozen=True)
class Result:
    """One scenario in one variant, as one agent played it."""

    run: Run
    loaded: Loaded
    variant: str
    trials: tuple[Trial, ...]

    @property
    def id(self) -> str:
        return f"{self.loaded.id}/{self.variant}"

    @property
    def valid(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.verdict is not Verdict.INVALID)

    @cached_property
    def summary(self) -> Summary:
        rows = [grade_row(trial) for trial in self.trials]
        return summarize(cells(rows), deterministic=self.run.deterministic, seed=self.run.seed)

    @property
    def compounded(self) -> Figure:
        """Product of the step accuracies, with its interval."""
        return self.summary.all.compounded

    @property
    def success(self) -> Figure:
        """Observed success, with its interval."""
        return self.summary.all.observed

    def step(self, step: str) -> StepFigure:
        """One step's accuracy. Raises UsageError where there is no such step."""
        figures = {figure.step: figure for figure in self.summary.steps}
        if step not in figures:
            raise UsageError(f"{self.id} has no step {step!r}{near_match(step, figures)}")
        return figures[step]

    def properties(self) -> dict[str, Any]:
        """What a CI system may show beside the item."""
        values: dict[str, Any] = {"agent": self.run.agent, "run": self.run.id, "valid_trials": len(self.valid)}
        values["invalid_trials"] = len(self.trials) - len(self.valid)
        for name, figure in (("compounded", self.compounded), ("success", self.success)) if self.valid else ():
            values |= {name: figure.estimate, f"{name}_low": figure.low, f"{name}_high": figure.high}
        return {name: f"{value:.4f}" if isinstance(value, float) else str(value) for name, value in values.items()}


def judge(result: Result, *, floor: float | None = None, baseline: str | None = None) -> Judgement:
    """Whether an item passes: no worse than a baseline, above a floor, or without a failure at all."""
    if baseline is not None:
        return against(result, Path(baseline))
    return strict(result) if floor is None else above(result, floor)


def strict(result: Result, steps: Sequence[str] = ()) -> Judgement:
    """Every valid trial succeeded and passed every step (or these)."""
    return _judged(result, lambda: _without_failure(result, steps))


def above(result: Result, floor: float) -> Judgement:
    """The interval of the compounded accuracy against a floor: all above, all below, or in between."""

    def compare() -> Judgement:
        figure = result.compounded
        if figure.estimate is None or figure.low is None or figure.high is None:
            return Judgement("could_not_judge", f"the compounded accuracy is not known: {figure.reason}")
        found = f"compounded accuracy {figure.estimate:.3f} ({figure.low:.3f} to {figure.high:.3f})"
        if figure.low >= floor:
            return Judgement("pass", found)
        if figure.high < floor:
            return Judgement("fail", f"{found} is below {floor:g}")
        return Judgement("inconclusive", f"{found} may be above or below {floor:g}: more trials would tell")

    return _judged(result, compare)


def against(result: Result, baseline: Path) -> Judgement:
    """The verdict of the project's gate on this scenario and variant alone."""
    from agentkit.config import load_config
    from agentkit.gate.baseline import read_baseline
    from agentkit.gate.project.cell import judge_cell

    base = read_baseline(baseline)
    known = [cell.id for cell in base.cells]
    if result.id not in known:
        return Judgement("could_not_judge", f"{baseline} has no {result.id}{near_match(result.id, known)}")
    verdict = judge_cell(load_config(), base, _side(result), result.loaded.id, result.variant)
    return Judgement(verdict.outcome.value, verdict.sentence, verdict.notes)


def _side(result: Result) -> Side:
    from agentkit.gate.project.sides import JUDGED_CHECK, Side

    run = replace(result.run, scenarios={result.loaded.id: result.loaded.hash})
    steps, outcomes = (
        frozenset(f"{result.id}#{grade.step}" for grade in grades if grade.check == JUDGED_CHECK)
        for grades in (
            [grade for trial in result.trials for grade in trial.steps],
            [grade for trial in result.trials for grade in trial.outcome],
        )
    )
    return Side(recorded(run, result.trials), run, steps, outcomes)


def _judged(result: Result, compare: Callable[[], Judgement]) -> Judgement:
    """No data is never a pass."""
    if not result.valid:
        reason = result.trials[0].reason if result.trials else "nothing was played"
        return Judgement("could_not_judge", f"no valid trial: {reason}")
    return compare()


def _without_failure(result: Result, steps: Sequence[str]) -> Judgement:
    failed = {
        grade.step: grade
        for trial in reversed(result.valid)
        for grade in reversed(trial.steps)
        if grade.status is Status.FAILED and (not steps or grade.step in steps)
    }
    ungraded = [
        grade.step
        for trial in result.valid
        for grade in (*trial.steps, *trial.outcome)
        if grade.status is Status.UNGRADED and (not steps or grade.step in steps)
    ]
    unsuccessful = [] if steps else [trial for trial in result.valid if trial.verdict is not Verdict.SUCCESS]
    if failed or unsuccessful:
        bad = sum(
            trial in unsuccessful or any(g.status is Status.FAILED and g.step in failed for g in trial.steps)
            for trial in result.valid
        )
        what = ", ".join(reversed(failed)) or "the outcome"
        return Judgement("fail", f"{bad} of {len(result.valid)} trials fail at {what}")
    if ungraded:
        return Judgement("could_not_judge", f"no judge could grade {ungraded[0]}")
    for step in steps:
        passed = sum(
            any(grade.step == step and grade.status is Status.PASSED for grade in trial.steps) for trial in result.valid
        )
        if passed < len(result.valid):
            found = f"reached in {passed} of {len(result.valid)} trials" if passed else "never reached"
            return Judgement("could_not_judge", f"{step} was {found}")
    return Judgement("pass", f"all {len(result.valid)} trials pass")
