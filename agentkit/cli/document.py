"""A run's numbers, and the documented JSON document of them (`agentkit/measure/README.md`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from agentkit.measure import Summary, summarize
from agentkit.measure.detours import detour_figures
from agentkit.measure.rows import Tally, cells
from agentkit.records import Run, Trial, Verdict
from agentkit.store import Store


def summary(store: Store, run: Run) -> Summary:
    """Everything that the run's recorded trials say. Equal runs give equal numbers."""
    tally = Tally()
    result = summarize(cells(tally.over(store.grades(run.id))), deterministic=run.deterministic, seed=run.seed)
    result = replace(result, played=tally.played, invalid_by_party=dict(sorted(tally.invalid.items())))
    if result.forks is None and any(":" in counts.variant for counts in result.scenarios):
        return replace(result, detours=detour_figures(store.grades(run.id)))
    return result


def document(run: Run, result: Summary) -> dict[str, Any]:
    """The `--json` document."""
    return {
        "run_id": run.id,
        "agent": run.agent,
        "agent_hash": run.agent_hash,
        "status": run.status,
        "seed": run.seed,
        "planned": run.planned,
        "created_at": run.created_at,
        "versions": dict(run.versions),
        "scenario_hashes": dict(run.scenarios),
        "spent": dict(run.spent),
        "user": run.settings.get("user"),
        "user_hashes": run.settings.get("user_hashes", {}),
        **result.document(),
    }


def invalid_trials(store: Store, run: Run) -> Iterator[Trial]:
    """The trials that count neither way."""
    return store.trials(run.id, verdict=Verdict.INVALID)
