"""How often a flaky step passed, run by run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentkit.measure import Flake, FlakyStep
from agentkit.measure.history import Flakiness, conditions
from agentkit.records import Run
from agentkit.report.heat import heat_of

SHOWN = 8
"""Runs of one step that are shown: the newest."""


@dataclass(frozen=True, slots=True)
class RunShare:
    """One run's share in a step's history."""

    run: str
    date: str
    """2026-01-02, or '' where it is not known."""
    passed: int
    graded: int
    alike: bool
    """Whether agent, scenario and users are those of the run that is reported."""

    @property
    def share(self) -> float:
        return self.passed / self.graded

    @property
    def heat(self) -> int:
        return heat_of(self.share)


@dataclass(frozen=True, slots=True)
class StepHistory:
    """One flaky step."""

    step: FlakyStep
    shares: tuple[RunShare, ...]
    """Oldest first."""
    earlier: int
    """Runs before those."""
    failed: bool
    """Whether it failed in the run that is reported."""


def histories(run: Run, found: Flakiness) -> tuple[StepHistory, ...]:
    """Of every flaky step of the run that is reported."""
    dates: dict[str, str] = {it.id: it.created_at[:10] for it in found.runs}
    made = []
    for step in found.steps:
        own = conditions(run, step.step.rpartition("#")[0].rpartition("/")[0])
        shares = [_share(flake, dates, own) for flake in step.history[-SHOWN:]]
        failed = any(flake.failed for flake in step.history if flake.run == run.id)
        made.append(StepHistory(step, tuple(shares), len(step.history) - len(shares), failed))
    return tuple(made)


def _share(flake: Flake, dates: Mapping[str, str], own: str) -> RunShare:
    graded = flake.passed + flake.failed
    return RunShare(flake.run, dates.get(flake.run, ""), flake.passed, graded, flake.conditions == own)
