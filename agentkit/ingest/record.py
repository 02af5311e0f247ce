"""An import into the store: what is there already stays as it is, only what is new is added."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agentkit.errors import StoreError
from agentkit.ingest.imported import Imported, Source, numbered
from agentkit.records import Run, RunId, Status, Trial
from agentkit.store import Store

_BATCH = 256
"""Trials that are recorded at once."""
_GRADED = "-graded"
"""Ends the id of a run whose own one is that of the same trials without their grades."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an import changed in the store."""

    run: RunId
    new: int
    """Trials that were not there before."""
    known: int
    """Trials of this import that were there already."""
    continued: bool
    """Whether the run was first recorded from the beginning of the same file."""


def record(imported: Imported, store: Store) -> Recorded:
    """Write an import into the store. Importing the same again adds nothing.

    A file that begins with the very bytes of one that was imported before (it had been cut off, or has grown since)
    continues that run. Trials that were recorded without the grades with which they come now stay as they are, and the
    import is a run of its own. Raises StoreError where the store fails; recording again then goes on.
    """
    runs = store.runs(limit=sys.maxsize)
    own, graded = imported.run.id, RunId(imported.run.id + _GRADED)
    same = [run for id in (own, graded, imported.formerly) for run in runs if run.id == id]
    before = next((run for run in (*same, *_beginnings(imported, runs)) if _has_its_grades(run, imported, store)), None)
    taken = any(run.id == own for run in same)
    run = before or _create(replace(imported.run, id=graded if taken else own), store)
    known = store.keys(run.id)
    fresh = [trial for trial in imported.trials if trial.key not in known]
    fresh = numbered(run.id, fresh, first=len(known))
    for start in range(0, len(fresh), _BATCH):
        store.add_trials(fresh[start : start + _BATCH])
    if before is None or fresh or imported.run.status == "finished":
        store.update_run(
            run.id,
            status=imported.run.status,
            spent=run.spent,
            planned=len(known) + len(fresh),
            scenarios={**run.scenarios, **imported.run.scenarios},
        )
    continued = before is not None and before not in same
    return Recorded(run.id, len(fresh), len(imported.trials) - len(fresh), continued)


def _beginnings(imported: Imported, runs: Sequence[Run]) -> Iterator[Run]:
    """The runs that hold the beginning of this source, newest first."""
    return (run for run in runs if imported.source is not None and _is_beginning(run, imported.source))


def _has_its_grades(run: Run, imported: Imported, store: Store) -> bool:
    """Whether no trial of the import lacks its grades in a run that holds it: traces were imported without their log
    records."""
    graded = {trial.key for trial in imported.trials if _is_graded(trial)}
    return not graded or all(_is_graded(trial) for trial in store.trials(run.id) if trial.key in graded)


def _is_graded(trial: Trial) -> bool:
    return any(grade.status is not Status.UNGRADED for grade in (*trial.steps, *trial.outcome))


def _is_beginning(run: Run, source: Source) -> bool:
    known = run.settings.get("import")
    if not isinstance(known, dict) or known.get("kind") != source.kind or "bytes" not in known:
        return False
    return source.begins_with(known["bytes"], known["sha256"])


def _create(run: Run, store: Store) -> Run:
    try:
        store.create_run(replace(run, status="running"))
    except StoreError:  # where another process was quicker, its run is the same
        return store.run(run.id)
    return run
