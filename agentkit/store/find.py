"""What a person types to name a run, a trial, an adapter or a job, and which one that is."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, func, select

from agentkit.errors import StoreError, near_match
from agentkit.records import RunId
from agentkit.store.engine import masked
from agentkit.store.tables import adapters, jobs, runs, trials

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
    found = connection.execute(newest.limit(1)).first() if ref == "last" else _named(connection, newest, runs.c.id, ref)
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
    found = found or _named(connection, of_run, trials.c.id, ref)
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


def find_adapter(connection: Connection, ref: str) -> Row[Any]:
    """The row of the adapter named by its name, or by a beginning of it that is no other's."""
    newest = select(adapters).order_by(adapters.c.adapter.desc())
    found = _named(connection, newest, adapters.c.name, ref)
    if found is None:
        known = connection.execute(newest.with_only_columns(adapters.c.name).limit(_SHOWN)).scalars().all()
        store = masked(connection.engine.url)
        if not known:
            raise StoreError(f"{store}: no adapter is registered yet, and so none called {ref!r}")
        raise StoreError(f"{store}: no adapter {ref!r} is registered{near_match(ref, known)}")
    return found


def find_job(connection: Connection, ref: str, *, exact: bool = False) -> Row[Any]:
    """The row of the job named by `last`, by its id, or by a beginning of its id that is no other's; `exact`: by its
    whole id and nothing else."""
    newest = select(jobs).order_by(jobs.c.job.desc())
    if exact:
        found = connection.execute(newest.where(jobs.c.id == ref)).first()
    elif ref == "last":
        found = connection.execute(newest.limit(1)).first()
    else:
        found = _named(connection, newest, jobs.c.id, ref)
    if found is None:
        known = connection.execute(newest.with_only_columns(jobs.c.id).limit(_SHOWN)).scalars().all()
        store = masked(connection.engine.url)
        if not known:
            raise StoreError(f"{store}: no job is recorded yet")
        raise StoreError(f"{store}: no job {ref!r}{near_match(ref, ('last', *known))}")
    return found


def _named(connection: Connection, query: Select[Any], name: Column[str], ref: str) -> Row[Any] | None:
    """The row whose `name` is `ref` or alone begins with it; None where none does."""
    exact = connection.execute(query.where(name == ref)).first()
    if exact is not None or not ref:
        return exact
    # LIKE may ignore case, so the beginning is checked again.
    rows = connection.execute(query.where(name.startswith(ref, autoescape=True)).limit(_SHOWN))
    found = {str(row._mapping[name]): row for row in rows if row._mapping[name].startswith(ref)}
    if len(found) > 1:
        shown = ", ".join(list(found)[:8]) + (", …" if len(found) > 8 else "")
        raise StoreError(f"{ref!r} begins the {name.name}s of several {name.table.name}: {shown}")
    return next(iter(found.values()), None)


def _places(connection: Connection, run: int) -> str:
    place = trials.c.trial
    first, last = connection.execute(select(func.min(place), func.max(place)).where(trials.c.run == run)).one()
    if first is None:
        return ": it has no trials yet"
    return f" (name one by its place, {first} to {last}, by its path like refund/golden#0, or by its id)"
