"""What a trial of each variant will take: as an earlier run tells, or as the golden play suggests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.config import Limits
from agentkit.errors import UsageError
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.conversation import build_conversation
from agentkit.play.plan import Planned, instance_seed
from agentkit.play.runner import play_each
from agentkit.play.trial import Setting
from agentkit.records import Run, RunId, TrialKey, Verdict
from agentkit.scenario import Loaded
from agentkit.store import ExpenseRow, Store
from agentkit.tracing import Tracing

_NEWEST = 200
"""Runs that are looked through for one by the agent."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One trial of one variant, on average; None where nothing tells."""

    calls: float
    tokens: float | None
    cost: float | None
    """US dollars."""
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of every scenario and variant, and where it comes from."""

    by_cell: dict[tuple[str, str], Expected]
    source: str
    success: tuple[int, int] | None
    """Successes in that run, and trials whose outcome was judged; None without any."""

    @property
    def accuracy(self) -> float | None:
        """Of success, drawn in by half a trial each way: ten of ten are not taken for never failing."""
        return None if self.success is None else (self.success[0] + 0.5) / (self.success[1] + 1)


def earlier_run(store: Store, ref: str | None, agent: str | None, scenarios: Sequence[Loaded]) -> Run | None:
    """The run that is named, or the newest by the agent of any of the scenarios; None where there is none.

    Raises:
        UsageError: the run that is named played none of the scenarios, or single turns alone.
    """
    ids = {loaded.id for loaded in scenarios}
    if ref is not None:
        run = store.run(ref)
        if run.settings.get("fork"):
            raise UsageError(
                f"--from: run {run.id} played forks, which are single turns; expected a run of whole conversations "
                "(agentkit run without --fork)"
            )
        if not ids & set(run.scenarios):
            raise UsageError(f"--from: run {run.id} played none of these scenarios ({', '.join(sorted(ids)[:5])})")
        return run
    for run in store.runs(_NEWEST) if agent is not None else []:
        known = run.agent == agent and ids & set(run.scenarios) and not run.settings.get("fork")
        if known and store.keys(run.id):
            return run
    return None


def from_run(store: Store, run: Run, cells: Sequence[tuple[str, str]]) -> Estimate:
    """Means of the run's valid trials by variant; of variants that it did not play, the mean over all."""
    rows: dict[tuple[str, str], list[ExpenseRow]] = defaultdict(list)
    for row in store.expenses(run.id):
        if row.verdict is not Verdict.INVALID:
            rows[row.scenario, row.variant].append(row)
    every = [row for found in rows.values() for row in found]
    if not every:
        raise UsageError(f"--from: run {run.id} has no valid trial to estimate by")
    missing = [cell for cell in cells if cell not in rows]
    told = f"run {run.id} of {run.agent}"
    told += f", by its mean for {len(missing)} variants that it did not play" if missing else ""
    judged = [row for row in every if row.verdict in (Verdict.SUCCESS, Verdict.FAILURE)]
    success = (sum(row.verdict is Verdict.SUCCESS for row in judged), len(judged)) if judged else None
    return Estimate({cell: _mean(rows.get(cell) or every) for cell in cells}, told, success)


async def from_golden(scenarios: Sequence[Loaded], cells: Sequence[tuple[str, str]], seed: int) -> Estimate:
    """The moves of the golden agent, played once a variant, as so many model calls."""
    tracing = Tracing.off()
    setting = Setting(RunId("plan"), ScriptedAgent("golden"), None, Limits(), seed, tracing, build_conversation())
    by_id = {loaded.id: loaded for loaded in scenarios}
    planned = [
        Planned(i, TrialKey(*cell, instance_seed(seed, 0, by_id[cell[0]].cycle))) for i, cell in enumerate(cells)
    ]
    trials = await play_each(planned, by_id, setting, concurrency=8)
    tracing.close()
    moves = {
        (it.key.scenario, it.key.variant): sum(message.role == "assistant" for message in it.messages) for it in trials
    }
    told = "the golden play's number of moves, as no earlier run tells more (--from RUN, --agent NAME)"
    return Estimate({cell: Expected(moves[cell], None, None, None) for cell in cells}, told, None)


def _mean(rows: Sequence[ExpenseRow]) -> Expected:
    costs = [row.cost for row in rows]
    seconds = [row.seconds for row in rows]
    return Expected(
        sum(row.model_calls for row in rows) / len(rows),
        _average([row.tokens if row.tokens or not row.model_calls else None for row in rows]),
        _average(costs),
        _average(seconds),
    )


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
