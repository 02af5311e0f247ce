"""A side of a comparison: what one agent did, and what is known of it beside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.errors import NotJudged, UsageError
from agentkit.gate.recorded import Recorded
from agentkit.gate.rows import recorded, refuse_forks
from agentkit.records import Run
from agentkit.store import Store

if TYPE_CHECKING:
    from agentkit.scenario import Loaded

JUDGED_CHECK = "reply.judge"
"""The check of a grade that an LLM judge gave."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one agent did, and what is known of it beside."""

    recorded: Recorded
    run: Run | None = None
    """None where it comes from a file."""
    judged: frozenset[str] = frozenset()
    """Steps (`scenario/variant#step`) that a judge graded; a file does not know."""
    judged_outcomes: frozenset[str] = frozenset()
    """Outcome checks that a judge graded, named in the same way."""


def read_run(store: Store, run: Run, *, unfinished: bool = False) -> Side:
    """What a run of the store says."""
    refuse_forks(run)
    if not unfinished:
        refuse_unfinished(store, run)
    spent = {row.index: (row.cost, row.seconds) for row in store.expenses(run.id)}
    found = recorded(run, store.grades(run.id), tags=tags_of(run), spent=spent)
    if "import" in run.settings and found.cells and not any(cell.valid for cell in found.cells):
        raise NotJudged(
            f"run {run.id} was imported and has no graded trial; hold it against a scenario first: "
            f"agentkit grade {run.id} --scenario …"
        )
    decided = store.decided_by(run.id, JUDGED_CHECK)
    return Side(
        found,
        run,
        frozenset(f"{scenario}/{variant}#{it}" for scenario, variant, kind, it in decided if kind == "step"),
        frozenset(f"{scenario}/{variant}#{it}" for scenario, variant, kind, it in decided if kind == "outcome"),
    )


def refuse_unfinished(store: Store, run: Run) -> None:
    """Raises NotJudged where trials are still to be played: what is missing may well differ from what is there."""
    if run.status == "finished":
        return
    played = len(store.keys(run.id))
    if "import" in run.settings:
        hint = "import it again"
    else:
        hint = "play its items again, with pytest" if run.by_items else f"go on with: agentkit run --resume {run.id}"
    raise NotJudged(f"run {run.id} is not finished ({run.status}): {played} of {run.planned} trials are played; {hint}")


def tags_of(run: Run) -> dict[str, tuple[str, ...]]:
    """`Recorded.tags` of those scenarios that are still as the run played them; none where the files are gone."""
    from agentkit.scenario import load

    paths = run.settings.get("paths")
    if not isinstance(paths, list):
        return {}
    try:
        scenarios = load([Path(str(path)) for path in paths])
    except UsageError:
        return {}
    return tags_in(it for it in scenarios if run.scenarios.get(it.id) == it.hash)


def tags_in(scenarios: Iterable[Loaded]) -> dict[str, tuple[str, ...]]:
    """What has tags in scenarios, as `Recorded.tags` says it."""
    found: dict[str, list[str]] = {}
    for it in scenarios:
        detours = it.scenario.detours
        turns = [*it.scenario.turns, *(turn for detour in detours for turn in detour.turns or ())]
        steps = [*(step for turn in turns for step in turn.steps), *(step for one in detours for step in one.replaces)]
        found[it.id] = it.scenario.tags
        found |= {f"{it.id}/{detour.id}": detour.tags for detour in detours}
        for step in steps:
            found.setdefault(f"{it.id}#{step.id}", []).extend(step.tags)
    return {place: tuple(dict.fromkeys(tags)) for place, tags in found.items() if tags}
