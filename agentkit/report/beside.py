"""The baseline's conversations, each to be shown beside the candidate's of the same scenario, variant, instance and
repeat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agentkit.records import RunId, TrialKey
from agentkit.report.conversations import MARKS, Packer
from agentkit.report.index import Index
from agentkit.store import GradeRow, Store

_ORDER = {"SF": 0, "FS": 1, "SS": 2, "FF": 2}
"""How a pair ended, to the order in which pairs take the file's room: what got worse is what people open."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Those of the pairs in which something changed."""

    index: dict[str, Any]
    """Of the baseline's trials (`Index.document`)."""
    left_out: int
    """Pairs whose baseline's conversation found no room in the file."""


def beside(store: Store, run: RunId, candidate: Index, packer: Packer) -> Beside:
    """Pack the conversations of the baseline's `run`, as far as the candidate's have left room."""
    index, before = Index(None), packer.left_out
    for trial in store.trials_at(run, changed(candidate, store.grades(run))):
        index.add(trial, packer.add(trial))
    packer.close()
    return Beside(index.document(), packer.left_out - before)


def changed(candidate: Index, rows: Iterable[GradeRow]) -> list[int]:
    """Places of the baseline's trials whose pair ended otherwise or has a step with another grade.

    What got worse comes first, then what got better, then the rest.
    """
    found = []
    for row in rows:
        played = candidate.played(TrialKey(row.scenario, row.variant, row.instance, row.repeat))
        if played is None or played[0] not in _ORDER:
            continue
        ends, marks = played
        order = _ORDER[ends]
        if order < 2 or any(marks.get(it.step, MARKS[it.status]) != MARKS[it.status] for it in row.steps):
            found.append((order, row.index))
    return [place for _, place in sorted(found)]
