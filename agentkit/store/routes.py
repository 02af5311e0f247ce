"""Revisions of the route table, and which conversation keeps which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Row, case, delete, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from agentkit.errors import StoreError
from agentkit.records import AdapterName, AdapterState, Arm, ConversationId, Pin, Revision, Route, Target, TargetKind
from agentkit.store.database import Database
from agentkit.store.engine import explained
from agentkit.store.exchanges import chunks
from agentkit.store.storable import json, optional_json, text
from agentkit.store.tables import adapters, pins, revisions

States = Mapping[AdapterName, tuple[AdapterState, AdapterState]]
"""Adapter → (the state that it is in, the state that it gets)."""


class Outrun(StoreError):
    """Somebody else changed the route table, or an adapter of it, in the meantime; a change can be tried again."""


class Routes(Database):
    """The store's methods for the route table."""

    def add_revision(self, revision: Revision, states: States | None = None) -> None:
        """Record the next revision, and move adapters with it: all or nothing.

        Raises:
            Outrun: it is not the next one, because somebody else was first; or an adapter is in another state by now.
        """
        with explained(self._engine.url):
            try:
                with self._engine.begin() as connection:
                    _insert_next(connection, revision, self.url)
                    for name, (before, after) in (states or {}).items():
                        _move(connection, name, before, after, self.url)
            except IntegrityError:
                raise _taken(revision, self.url) from None

    def revision(self, number: int) -> Revision:
        """The revision with that number."""
        with self._transaction() as connection:
            row = connection.execute(select(revisions).where(revisions.c.number == number)).first()
        if row is None:
            raise StoreError(f"{self.url}: there is no revision {number} of the route table")
        return _read(row)

    def revisions(self, limit: int = 20, *, above: int = 0, below: int | None = None) -> list[Revision]:
        """The newest revisions, newest first; only those with numbers between `above` and `below`, without these."""
        newest = select(revisions).where(revisions.c.number > above).order_by(revisions.c.number.desc()).limit(limit)
        newest = newest if below is None else newest.where(revisions.c.number < below)
        with self._transaction() as connection:
            return [_read(row) for row in connection.execute(newest)]

    def pin(self, conversation: ConversationId) -> Pin | None:
        """What the conversation was last pinned to, however long ago."""
        with self._transaction() as connection:
            row = connection.execute(select(pins).where(pins.c.conversation == text(conversation))).first()
        return None if row is None else _read_pin(row)

    def pins(self, *, since: datetime | None = None, limit: int = 1_000) -> list[Pin]:
        """Pins seen at `since` or later, the last seen first."""
        query = select(pins).order_by(pins.c.seen_at.desc()).limit(limit)
        if since is not None:
            query = query.where(pins.c.seen_at >= stamp(since))
        with self._transaction() as connection:
            return [_read_pin(row) for row in connection.execute(query)]

    def set_pins(self, batch: Sequence[Pin], *, ended: datetime) -> dict[ConversationId, Pin]:
        """Pin conversations, or say that they were seen again; and give what each is pinned to by now.

        Of two processes that pin a conversation at once, the first wins and the second is told so. A pin is replaced
        where it is of the same revision, where it was last seen before `ended`, and where a safety rollback takes the
        conversation to a newer revision.
        """
        if not batch:
            return {}
        rows = {it.conversation: _pin_row(it) for it in batch}
        with self._transaction() as connection:
            # In one order everywhere, so that two processes cannot wait for each other.
            connection.execute(self._upsert(stamp(ended)), [rows[name] for name in sorted(rows)])
            found = [_read_pin(row) for row in _pinned(connection, [row["conversation"] for row in rows.values()])]
        return {it.conversation: it for it in found}

    def pinned_revisions(self, since: datetime) -> set[int]:
        """The revisions that have a conversation which was seen at `since` or later."""
        query = select(pins.c.revision).where(pins.c.seen_at >= stamp(since)).distinct()
        with self._transaction() as connection:
            return set(connection.execute(query).scalars())

    def drop_pins(self, before: datetime) -> int:
        """Forget pins of conversations that were last seen before that, and say how many there were."""
        with self._transaction() as connection:
            return connection.execute(delete(pins).where(pins.c.seen_at < stamp(before))).rowcount

    def _upsert(self, ended: str) -> Any:
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        new = dialect.insert(pins)
        given, known = new.excluded, pins.c
        repinned = (known.revision < given.revision) & given.repinned_from.is_not(None)
        return new.on_conflict_do_update(
            index_elements=[known.conversation],
            set_={
                "revision": given.revision,
                "arm": given.arm,
                "seen_at": case((known.seen_at > given.seen_at, known.seen_at), else_=given.seen_at),
                "repinned_from": given.repinned_from,
            },
            where=or_(known.seen_at < ended, known.revision == given.revision, repinned),
        )


def stamp(at: datetime) -> str:
    """As times stand in the tables: RFC 3339, UTC, to the millisecond, so that texts compare as times do."""
    if at.utcoffset() != timedelta(0):
        raise ValueError(f"found {at.isoformat()}, expected a time in UTC")
    return at.isoformat(timespec="milliseconds")


def _insert_next(connection: Connection, revision: Revision, url: str) -> None:
    """One statement, so that SQLite takes the lock for writing before it looks."""
    last = select(func.coalesce(func.max(revisions.c.number), 0)).scalar_subquery()
    row = _row(revision)
    values = select(*(literal(value, revisions.c[name].type) for name, value in row.items()))
    statement = insert(revisions).from_select(list(row), values.where(last == revision.number - 1))
    if connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount != 1:
        raise _taken(revision, url)


def _taken(revision: Revision, url: str) -> Outrun:
    return Outrun(
        f"{url}: revision {revision.number} is not the next of the route table: somebody else changed it meanwhile; "
        "look at it again"
    )


def _move(connection: Connection, name: AdapterName, before: AdapterState, after: AdapterState, url: str) -> None:
    here = (adapters.c.name == name) & (adapters.c.state == before.value)
    if connection.execute(update(adapters).where(here).values(state=after.value)).rowcount != 1:
        raise Outrun(f"{url}: adapter {name} is not {before} any more: somebody else moved it; look again")


def _pinned(connection: Connection, conversations: Sequence[str]) -> Iterator[Row[Any]]:
    for some in chunks(conversations):
        yield from connection.execute(select(pins).where(pins.c.conversation.in_(some)))


def _row(it: Revision) -> dict[str, Any]:
    return {
        "number": it.number,
        "routes": json([_route_row(route) for route in it.routes]),
        "created_at": it.created_at,
        "by": text(it.by),
        "why": text(it.why),
        "parent": it.parent,
        "evidence": optional_json(it.evidence),
    }


def _route_row(it: Route) -> dict[str, Any]:
    return {
        "agent": it.agent,
        "step": it.step,
        "live": _target_row(it.live),
        "canary": None if it.canary is None else _target_row(it.canary),
        "share": it.share,
    }


def _target_row(it: Target) -> dict[str, str]:
    return {"kind": it.kind.value, "name": it.name}


def _read(row: Row[Any]) -> Revision:
    return Revision(
        row.number,
        tuple(_read_route(it) for it in orjson.loads(row.routes)),
        row.created_at,
        row.by,
        row.why,
        row.parent,
        None if row.evidence is None else orjson.loads(row.evidence),
    )


def _read_route(it: Mapping[str, Any]) -> Route:
    canary = it["canary"]
    return Route(it["agent"], it["step"], _read_target(it["live"]), canary and _read_target(canary), it["share"])


def _read_target(it: Mapping[str, str]) -> Target:
    return Target(TargetKind(it["kind"]), it["name"])


def _pin_row(it: Pin) -> dict[str, Any]:
    return {
        "conversation": text(it.conversation),
        "revision": it.revision,
        "arm": it.arm.value,
        "seen_at": it.seen_at,
        "repinned_from": it.repinned_from,
    }


def _read_pin(row: Row[Any]) -> Pin:
    return Pin(ConversationId(row.conversation), row.revision, Arm(row.arm), row.seen_at, row.repinned_from)
