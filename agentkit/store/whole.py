"""Whole trials out of the database, conversations and grades included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from agentkit.records import RunId, Trial
from agentkit.store.rows import read_trial
from agentkit.store.tables import messages, steps

CHUNK = 16
"""How many are read at once: enough to be quick, few enough to fit in memory."""


def whole_trials(connection: Connection, run: RunId, rows: Sequence[Sequence[Any]]) -> list[Trial]:
    """The trials of one run whose rows in `trials` are given, in their order."""
    if not rows:
        return []
    number, places = rows[0][0], [row[1] for row in rows]
    said = _of_trials(connection, messages, number, places)
    graded = _of_trials(connection, steps, number, places)
    return [read_trial(run, row, said[row[1]], graded[row[1]]) for row in rows]


def _of_trials(connection: Connection, table: Table, run: int, places: Sequence[int]) -> dict[int, list[Sequence[Any]]]:
    """The table's rows of each trial, in order."""
    c = table.c
    query = select(table).where(c.run == run, c.trial.in_(places)).order_by(c.trial, c.position)
    found: dict[int, list[Sequence[Any]]] = defaultdict(list)
    for row in connection.execute(query):
        found[row[1]].append(row)
    return found
