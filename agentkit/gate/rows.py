"""From a run's trials to the record that comparing reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from agentkit.errors import UsageError
from agentkit.gate.recorded import Key, Played, Recorded
from agentkit.measure import FAILED, NOT_REACHED, PASSED, UNGRADED
from agentkit.records import Run, Status, StepGrade, Trial, Verdict
from agentkit.store import GradeRow, StepRow

_CODES: Mapping[Status, int] = {
    Status.PASSED: PASSED,
    Status.FAILED: FAILED,
    Status.NOT_REACHED: NOT_REACHED,
    Status.UNGRADED: UNGRADED,
}


def recorded(
    run: Run,
    trials: Iterable[Trial | GradeRow],
    *,
    tags: Mapping[str, tuple[str, ...]] | None = None,
    spent: Mapping[int, tuple[float | None, float | None]] | None = None,
) -> Recorded:
    """What comparing needs of a run.

    Whole trials carry their cost and duration; rows of grades do not, so `spent` gives both by the trial's place in the
    run. A step that was void in every trial is no step.

    Raises:
        UsageError: the run played forks (`refuse_forks`).
    """
    refuse_forks(run)
    gathered: dict[tuple[str, str], _Gathered] = {}
    for trial in trials:
        if trial.fork is not None:
            raise _forked(run)
        row = _row(trial, spent or {})
        gathered.setdefault((row.scenario, row.variant), _Gathered()).add(row)
    return Recorded(
        agent=run.agent,
        agent_hash=run.agent_hash,
        deterministic=run.deterministic,
        seed=run.seed,
        run=run.id,
        created_at=run.created_at,
        cells=tuple(gathered[key].played(*key) for key in sorted(gathered)),
        scenarios={scenario: run.scenarios.get(scenario, "") for scenario, _ in sorted(gathered)},
        versions=dict(run.versions),
        tags=dict(tags or {}),
        users=_users(run),
        judge=judge_model(run),
    )


def refuse_forks(run: Run) -> None:
    """Raises UsageError where a run played forks, which are single turns: there is no outcome to gate on, and one fork
    counts for several variants, which are then not independent."""
    if run.settings.get("fork"):
        raise _forked(run)


def judge_model(run: Run) -> str | None:
    """The model that judged a run."""
    told = run.settings.get("judge")
    return str(told["model"]) if isinstance(told, Mapping) and told.get("model") else None


def _forked(run: Run) -> UsageError:
    return UsageError(
        f"run {run.id} played forks: single turns, each from a history that was given to the agent, so that there is "
        "no outcome to compare; expected a run of whole conversations (agentkit run without --fork). "
        f"agentkit show {run.id} --against RUN holds forks against whole conversations of the same agent"
    )


def _users(run: Run) -> dict[str, str] | None:
    """Who spoke in a run; None where it was not played here, or before that was written down."""
    told = run.settings.get("user_hashes")
    return {str(name): str(digest) for name, digest in told.items()} if isinstance(told, Mapping) else None


@dataclass(frozen=True, slots=True)
class _Row:
    scenario: str
    variant: str
    key: Key
    success: int | None
    """None where the trial is invalid."""
    steps: tuple[StepGrade | StepRow, ...]
    cost: float | None
    seconds: float | None


def _row(trial: Trial | GradeRow, spent: Mapping[int, tuple[float | None, float | None]]) -> _Row:
    cost: float | None
    seconds: float | None
    if isinstance(trial, Trial):
        key, cost, seconds = trial.key, trial.cost, trial.duration
        judged = all(grade.status is not Status.UNGRADED for grade in trial.outcome)
        place = key.scenario, key.variant, (key.instance, key.repeat)
    else:
        cost, seconds = spent.get(trial.index, (None, None))
        judged = trial.gradable
        place = trial.scenario, trial.variant, (trial.instance, trial.repeat)
    success = {Verdict.SUCCESS: PASSED, Verdict.FAILURE: FAILED}.get(trial.verdict, UNGRADED) if judged else UNGRADED
    return _Row(*place, None if trial.verdict is Verdict.INVALID else success, trial.steps, cost, seconds)


class _Gathered:
    """What was read of one scenario and variant so far."""

    def __init__(self) -> None:
        self.skills: dict[str, str | None] = {}
        self.due: set[str] = set()
        self.rows: list[_Row] = []
        self.invalid: list[Key] = []

    def add(self, row: _Row) -> None:
        for step in row.steps:
            self.skills.setdefault(step.step, step.skill)
            if step.turn is not None:
                self.due.add(step.step)
        if row.success is None:
            self.invalid.append(row.key)
        else:
            self.rows.append(row)

    def played(self, scenario: str, variant: str) -> Played:
        steps = tuple(step for step in self.skills if step in self.due)
        codes = [{step.step: _CODES[step.status] for step in row.steps} for row in self.rows]
        grades = [[trial.get(step, NOT_REACHED) for step in steps] for trial in codes]
        skills = tuple(self.skills[step] for step in steps)
        return Played(
            scenario,
            variant,
            steps,
            np.array([row.key[0] for row in self.rows], dtype=np.int64),
            np.array([row.key[1] for row in self.rows], dtype=np.int64),
            np.array([row.success for row in self.rows], dtype=np.int8),
            np.array(grades, dtype=np.int8).reshape(len(self.rows), len(steps)),
            np.array([np.nan if row.cost is None else row.cost for row in self.rows], dtype=float),
            np.array([np.nan if row.seconds is None else row.seconds for row in self.rows], dtype=float),
            tuple(sorted(self.invalid)),
            skills if any(skills) else (),
        )
