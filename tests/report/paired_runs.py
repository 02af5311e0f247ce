"""A run and its baseline that played the same: some conversations got worse, one got better, one differs in a step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agentkit.cli.report import baseline_of
from agentkit.records import Run, RunId, Status, Trial, TrialId
from agentkit.report import Baseline
from agentkit.store import Store
from tests.report.report_records import RUN, stored, trial, trials

BASE = replace(RUN, id=RunId("20260101-000000-ba5e"), agent_hash="ba5e", created_at="2026-01-01T00:00:00.000+00:00")
WORSE, BETTER, OTHERWISE, SAME = (0, 5, 10, 15, 20), 3, 7, 4
"""Places in the run; the rest ended the same, step by step, as `SAME` did."""


def base_trials() -> list[Trial]:
    found = [replace(trial(it.index, it.key, fails=it.index == BETTER), run=BASE.id) for it in trials(every=1000)]
    asked = found[OTHERWISE]
    first, *others = asked.steps
    failed = replace(first, status=Status.FAILED, reason="it did not ask", score=0.0)
    found[OTHERWISE] = replace(asked, steps=(failed, *others))
    said = [replace(it, content=f"{it.content} (as before)") if it.role == "assistant" else it for it in asked.messages]
    return [
        replace(
            it,
            id=TrialId(f"b{it.index:011x}"),
            index=len(found) - 1 - it.index,  # another place than in the candidate
            messages=tuple(said) if it.index == OTHERWISE else it.messages,
        )
        for it in found
    ]


def pair(folder: Path, base: list[Trial] | None = None, played: list[Trial] | None = None, run: Run = RUN) -> Store:
    """A store that holds both."""
    store = stored(folder, played, run)
    store.create_run(BASE)
    store.add_trials(base_trials() if base is None else base)
    return store


def against(store: Store, name: str = BASE.id, run: Run = RUN) -> Baseline:
    """The other side, as `agentkit report --baseline` makes it."""
    return baseline_of(run, name, store.url)
