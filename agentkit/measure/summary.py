"""The numbers of a run, and the stable document that `--json` writes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from agentkit.errors import AgentkitError
from agentkit.measure.cell import CellMeasures, measure_cell
from agentkit.measure.detours import DetourFigure
from agentkit.measure.document import consistency_document, group_document
from agentkit.measure.forked import distinct_forks
from agentkit.measure.graded import PASSED, UNGRADED, Cell
from agentkit.measure.group import Group, measure_group
from agentkit.measure.proportion import wilson
from agentkit.records import GOLDEN


@dataclass(frozen=True, slots=True)
class ScenarioCounts:
    """Trials of one scenario and variant."""

    id: str
    variant: str
    valid: int
    invalid: int
    successes: int
    ungraded: int
    """Valid trials whose outcome could not be judged."""

    @property
    def trials(self) -> int:
        return self.valid + self.invalid


@dataclass(frozen=True, slots=True)
class StepFigure:
    """One step's accuracy given that it was reached and graded."""

    scenario: str
    variant: str
    step: str
    skill: str | None
    reached: int
    """Graded trials: the denominator. Ungraded ones are not in it."""
    passed: int
    ungraded: int
    effective: float
    """Independent trials that `reached` is worth, less where instances were repeated."""
    accuracy: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Summary:
    """All numbers of a run."""

    level: float
    deterministic: bool
    scenarios: tuple[ScenarioCounts, ...]
    steps: tuple[StepFigure, ...]
    all: Group
    golden: Group
    off_path: Group
    invalid_by_party: Mapping[str, int] = field(default_factory=dict)
    """Party at fault → invalid trials, those of variants in which no step was due, too (`measure.rows.Tally`)."""
    played: int = 0
    """Trials or forks that were recorded, likewise."""
    detours: tuple[DetourFigure, ...] = ()
    """The surface of the catalogue's detours, where any were played (`detour_figures`)."""
    forks: int | None = None
    """Valid forks; None where whole conversations were played. Of forks each accuracy is that given a right history."""

    def document(self) -> dict[str, Any]:
        """The run's numbers as plain JSON, every field explained in this package's README. Holds no
        `run_id`."""
        return {
            "level": self.level,
            "deterministic": self.deterministic,
            "forks": self.forks,
            "invalid_by_party": dict(self.invalid_by_party),
            "scenarios": [_scenario_document(it) for it in self.scenarios],
            "steps": [_step_document(it) for it in self.steps],
            **consistency_document(self.all.consistency),
            "detours": [it.document() for it in self.detours],
            "all": group_document(self.all),
            "golden": group_document(self.golden),
            "off_path": group_document(self.off_path),
        }


def summarize(cells: Sequence[Cell], *, deterministic: bool, seed: int, level: float = 0.95) -> Summary:
    """Everything that a run's graded trials say.

    `deterministic` says that equal requests get equal answers, so that repeats of an instance count once.
    Equal cells, seed and level give an equal summary, in whatever order the cells or the trials come. Raises
    `AgentkitError` where two cells are of the same scenario and variant.
    """
    ordered = sorted(cells, key=lambda cell: (cell.scenario, cell.variant != GOLDEN, cell.variant))
    twice = [a.id for a, b in pairwise(ordered) if a.id == b.id]
    if twice:
        raise AgentkitError(f"two sets of trials for {', '.join(twice)}; expected one for each scenario and variant")
    measures = [measure_cell(cell, deterministic=deterministic, seed=seed, level=level) for cell in ordered]
    golden = [it for it in measures if it.cell.variant == GOLDEN]
    off_path = [it for it in measures if it.cell.variant != GOLDEN]
    return Summary(
        level,
        deterministic,
        tuple(_scenario(cell) for cell in ordered),
        tuple(figure for it in measures for figure in _steps(it, level)),
        measure_group(measures, deterministic=deterministic, level=level),
        measure_group(golden, deterministic=deterministic, level=level),
        measure_group(off_path, deterministic=deterministic, level=level),
        forks=distinct_forks(measures),
    )


def _scenario(cell: Cell) -> ScenarioCounts:
    successes, ungraded = int((cell.success == PASSED).sum()), int((cell.success == UNGRADED).sum())
    if cell.forks is not None:
        ungraded = 0  # there is no outcome to judge
    return ScenarioCounts(cell.scenario, cell.variant, cell.valid, cell.invalid, successes, ungraded)


def _steps(it: CellMeasures, level: float) -> list[StepFigure]:
    steps = it.steps
    low, high = wilson(steps.scaled(steps.effective), steps.effective, level=level)
    ungraded = (it.cell.grades == UNGRADED).sum(axis=0)
    return [
        StepFigure(
            it.cell.scenario,
            it.cell.variant,
            step,
            it.cell.skills[k] if it.cell.skills else None,
            int(steps.n[k]),
            int(steps.passed[k]),
            int(ungraded[k]),
            float(steps.effective[k]),
            float(steps.accuracy[k]) if steps.n[k] > 0 else None,
            float(low[k]),
            float(high[k]),
        )
        for k, step in enumerate(it.cell.steps)
    ]


def _scenario_document(it: ScenarioCounts) -> dict[str, Any]:
    return {
        "id": it.id,
        "variant": it.variant,
        "trials": it.trials,
        "valid": it.valid,
        "invalid": it.invalid,
        "successes": it.successes,
        "ungraded": it.ungraded,
    }


def _step_document(it: StepFigure) -> dict[str, Any]:
    return {
        "scenario": it.scenario,
        "variant": it.variant,
        "step": it.step,
        "skill": it.skill,
        "reached": it.reached,
        "passed": it.passed,
        "ungraded": it.ungraded,
        "effective": it.effective,
        "accuracy": it.accuracy,
        "low": it.low,
        "high": it.high,
        "method": "wilson",
    }
