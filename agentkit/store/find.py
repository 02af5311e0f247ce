"""What a person types to name a run or a trial, and which one that is."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, func, select

from agentkit.errors import StoreError, near_match
from agentkit.records import RunId
from agentkit.store.engine import masked
from agentkit.store.tables import runs, trials

_SHOWN = 200
"""How many names are looked through for a near match."""


def run_number(connection: Connection, run: RunId) -> int:
    """The number of the run with exactly this id."""
    row = connection.execute(select(runs.c.run).where(runs.c.id == run)).first()
    if row is None:
        raise _no_run(connection, run)
    return int(row.run)


def find_run(connection: Connection, ref: str) -> Row[Any]:
    """The row of the run named by `last`, by its id, or by a beginning of its id that is no other's."""
    newest = select(runs).order_by(runs.c.run.desc())
    found = connection.execute(newest.limit(1)).first() if ref == "last" else _by_id(connection, newest, runs, ref)
    if found is None:
        raise _no_run(connection, ref)
    return found


def _no_run(connection: Connection, ref: str) -> StoreError:
    store = masked(connection.engine.url)
    known = connection.execute(select(runs.c.id).order_by(runs.c.run.desc()).limit(_SHOWN)).scalars().all()
    if not known:
        return StoreError(f"{store}: no run is recorded yet")
    return StoreError(f"{store}: no run {ref!r}{near_match(ref, ('last', *known))}")


def find_trial(connection: Connection, run: int, ref: str) -> Row[Any]:
    """The row of the trial named by its place in the run, its path (`refund/golden#0`: the first of that
    scenario and variant), its id, or a beginning of its id that is no other's."""
    of_run = select(trials).where(trials.c.run == run).order_by(trials.c.trial)
    found = None
    if path := re.fullmatch(r"(.+)#(\d{1,9})", ref):
        return _by_path(connection, of_run, path[1], int(path[2]))
    if re.fullmatch(r"0|[1-9]\d{0,8}", ref):
        found = connection.execute(of_run.where(trials.c.trial == int(ref))).first()
    found = found or _by_id(connection, of_run, trials, ref)
    if found is None:
        raise StoreError(f"no trial {ref!r} in this run{_places(connection, run)}")
    return found


def _by_path(connection: Connection, of_run: Select[Any], path: str, ordinal: int) -> Row[Any]:
    t = trials.c
    found = connection.execute(of_run.where(t.scenario + "/" + t.variant == path).offset(ordinal).limit(1)).first()
    if found is not None:
        return found
    counted = of_run.with_only_columns(t.scenario, t.variant, func.count()).order_by(None)
    counts = {
        f"{scenario}/{variant}": count
        for scenario, variant, count in connection.execute(counted.group_by(t.scenario, t.variant))
    }
    if path in counts:
        raise StoreError(f"no trial {path}#{ordinal} in this run: the last is {path}#{counts[path] - 1}")
    raise StoreError(f"no trial of {path!r} in this run{near_match(path, counts)}")


def _by_id(connection: Connection, query: Select[Any], table: Table, ref: str) -> Row[Any] | None:
    """The row whose id is `ref` or alone begins with it; None where no id does."""
    exact = connection.execute(query.where(table.c.id == ref)).first()
    if exact is not None or not ref:
        return exact
    # LIKE may ignore case, so the beginning is checked again.
    rows = connection.execute(query.where(table.c.id.startswith(ref, autoescape=True)).limit(_SHOWN))
    found = [row for row in rows if row.id.startswith(ref)]
    if len(found) > 1:
        shown = ", ".join(row.id for row in found[:8]) + (", …" if len(found) > 8 else "")
        raise StoreError(f"{ref!r} begins the ids of several {table.name}: {shown}")
    return found[0] if found else None


def _places(connection: Connection, run: int) -> str:
    place = trials.c.trial
    first, last = connection.execute(select(func.min(place), func.max(place)).where(trials.c.run == run)).one()
    if first is None:
        return ": it has no trials yet"
    return f" (name one by its place, {first} to {last}, by its path like refund/golden#0, or by its id)"
