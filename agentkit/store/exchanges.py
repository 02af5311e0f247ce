"""What passed through production: written in batches, read by conversation, and forgotten with its user."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Row, Table, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from agentkit.records import (
    Arm,
    ConversationId,
    Exchange,
    ResponseId,
    Target,
    TargetKind,
    Usage,
)
from agentkit.store.database import Database
from agentkit.store.moment import moment
from agentkit.store.storable import count, json, number, optional_json, optional_text, text
from agentkit.store.tables import exchanges, feedback, forgotten, forgotten_conversations

_CHUNK = 500
"""Rows that are read, deleted or looked for at once, so that nobody waits long for this."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the store holds of production."""

    exchanges: int
    conversations: int
    users: int
    oldest: str | None
    newest: str | None
    forgotten: int
    """Users who asked to be forgotten."""


class Exchanges(Database):
    """The store's methods for captured exchanges."""

    def add_exchanges(self, batch: Sequence[Exchange]) -> int:
        """Record exchanges, all or none, and say how many were new.

        One whose id is there already is left as it is. Those of users who were forgotten are not recorded, nor is the
        rest of conversations in which they take part.
        """
        rows = [_row(it) for it in {it.id: it for it in reversed(batch)}.values()][::-1]
        if not rows:
            return 0
        with self._transaction(immediate=True) as connection:
            if connection.dialect.name == "postgresql":
                # Nobody is forgotten between the look at who is and the end of this transaction.
                connection.exec_driver_sql("LOCK TABLE forgotten IN SHARE MODE")
            return insert_new(connection, exchanges, _without_forgotten(connection, rows))

    def exchange(self, id: str) -> Exchange | None:
        """The exchange with that id, or None."""
        with self._transaction() as connection:
            row = connection.execute(select(exchanges).where(exchanges.c.id == text(id))).one_or_none()
        return None if row is None else _read(row)

    def exchanges(
        self,
        *,
        conversation: ConversationId | None = None,
        conversations: Sequence[ConversationId] | None = None,
        since: str | None = None,
        agent: str | None = None,
        step: str | None = None,
        limit: int | None = None,
    ) -> list[Exchange]:
        """Exchanges in the order in which they came in.

        `since` (itself included): an RFC 3339 time. `limit`: the newest so many. `conversations`: only those of any of
        them.
        """
        c = exchanges.c
        query = select(exchanges).order_by(c.at.desc(), c.exchange.desc())
        wanted = {c.agent: agent, c.step: step, c.conversation: conversation}
        for column, value in wanted.items():
            query = query if value is None else query.where(column == text(value))
        query = query if since is None else query.where(c.at >= moment(since, "since"))
        with self._transaction() as connection:
            if conversations is None:
                return [_read(row) for row in reversed(connection.execute(query.limit(limit)).all())]
            names = [text(it) for it in dict.fromkeys(conversations)]
            rows = [row for some in chunks(names) for row in connection.execute(query.where(c.conversation.in_(some)))]
        rows.sort(key=lambda row: (row.at, row.exchange))
        return [_read(row) for row in (rows if limit is None else rows[max(0, len(rows) - limit) :])]

    def conversations(
        self, *, since: str | None = None, agent: str | None = None, step: str | None = None, limit: int | None = None
    ) -> list[ConversationId]:
        """Conversations that had an exchange at or after `since`, the one with the newest exchange first."""
        c = exchanges.c
        query = select(c.conversation).group_by(c.conversation).order_by(func.max(c.at).desc(), c.conversation)
        query = query if since is None else query.where(c.at >= moment(since, "since"))
        query = query if agent is None else query.where(c.agent == text(agent))
        query = query if step is None else query.where(c.step == text(step))
        with self._transaction() as connection:
            return [ConversationId(it) for it in connection.execute(query.limit(limit)).scalars()]

    def conversations_of(self, user: str) -> list[ConversationId]:
        """Conversations in which a user, named by pseudonym, took part."""
        with self._transaction() as connection:
            return conversations_of(connection, user)

    def traffic(self) -> Traffic:
        """How much there is."""
        c = exchanges.c
        query = select(
            func.count(c.id),
            func.count(c.conversation.distinct()),
            func.count(c.user.distinct()),
            func.min(c.at),
            func.max(c.at),
        )
        with self._transaction() as connection:
            rows, conversations, users, oldest, newest = connection.execute(query).one()
            gone = connection.execute(select(func.count(forgotten.c.user))).scalar_one()
        return Traffic(rows, conversations, users, oldest, newest, gone)

    def prune_exchanges(self, before: str) -> int:
        """Delete exchanges that came in before a time (RFC 3339), and what was said of conversations of which nothing
        is left then; a few at a time, so that others can write in between. Says how many exchanges went."""
        at = moment(before, "before")
        old = select(exchanges.c.exchange).where(exchanges.c.at < at).limit(_CHUNK)
        left = select(exchanges.c.conversation)
        orphaned = delete(feedback).where(feedback.c.at < at, feedback.c.conversation.not_in(left))
        gone = 0
        while True:
            with self._transaction() as connection:
                done = connection.execute(delete(exchanges).where(exchanges.c.exchange.in_(old))).rowcount
                if not done:
                    connection.execute(orphaned)
                    return gone
            gone += done


def insert_new(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Insert those whose `id` a table does not hold yet, and say how many there were."""
    if not rows:
        return 0
    dialect = {"sqlite": sqlite, "postgresql": postgresql}.get(connection.dialect.name)
    if dialect is not None:
        new = dialect.insert(table).on_conflict_do_nothing(index_elements=["id"])
        return connection.execute(new, rows, execution_options={"preserve_rowcount": True}).rowcount
    known = _known(connection, table.c.id, [row["id"] for row in rows])
    fresh = [row for row in rows if row["id"] not in known]
    if fresh:
        connection.execute(insert(table), fresh)
    return len(fresh)


def _without_forgotten(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of no conversation that was forgotten. One in which a user takes part who was is from now on, with what
    there is of it."""
    users = _known(connection, forgotten.c.user, {row["user"] for row in rows if row["user"] is not None})
    theirs = {row["conversation"] for row in rows if row["user"] in users}
    hashes = {_hash(it): it for it in {row["conversation"] for row in rows}}
    gone = theirs | {hashes[it] for it in _known(connection, forgotten_conversations.c.hash, hashes)}
    if theirs:
        overwrite(connection)
        remember_forgotten(connection, theirs)
        for table in (exchanges, feedback):
            delete_by(connection, table.c.conversation, theirs)
    return [row for row in rows if row["conversation"] not in gone]


def overwrite(connection: Connection) -> None:
    """What is deleted from now on is overwritten in the database's file, where that is SQLite."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def remember_forgotten(connection: Connection, conversations: Collection[str]) -> None:
    """What arrives of these conversations from now on is not recorded."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    # In one order everywhere, so that two processes cannot wait for each other.
    rows = [{"hash": it, "at": now} for it in sorted({_hash(text(it)) for it in conversations})]
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        new = dialect.insert(forgotten_conversations).on_conflict_do_nothing(index_elements=["hash"])
        connection.execute(new, rows)


def is_forgotten(connection: Connection, conversation: str) -> bool:
    """Whether what arrives of a conversation is not recorded."""
    return bool(_known(connection, forgotten_conversations.c.hash, [_hash(conversation)]))


def delete_by(connection: Connection, column: Column[Any], values: Collection[str]) -> int:
    """Delete the rows that have one of these values in a column, and say how many there were."""
    gone = delete(column.table)
    return sum(connection.execute(gone.where(column.in_(some))).rowcount for some in chunks(values))


def _known(connection: Connection, column: Column[Any], values: Collection[str]) -> set[str]:
    """Those of the values that a column holds."""
    query = select(column)
    return {it for some in chunks(values) for it in connection.execute(query.where(column.in_(some))).scalars()}


def _hash(conversation: str) -> str:
    """A conversation that was forgotten is known by this alone."""
    return hashlib.sha256(conversation.encode()).hexdigest()


def conversations_of(connection: Connection, user: str) -> list[ConversationId]:
    """In which a user took part, in order."""
    query = select(exchanges.c.conversation).where(exchanges.c.user == text(user)).distinct()
    return sorted(ConversationId(it) for it in connection.execute(query).scalars())


def chunks(values: Iterable[str]) -> Iterator[Sequence[str]]:
    """A few at a time: databases limit how many values a statement may carry."""
    known = [*values]
    return (known[place : place + _CHUNK] for place in range(0, len(known), _CHUNK))


def _row(it: Exchange) -> dict[str, Any]:
    """All columns but `exchange`, which the database counts."""
    return {
        "id": text(it.id),
        "conversation": text(it.conversation),
        "at": moment(it.at, "at"),
        "key": text(it.key),
        "agent": text(it.agent),
        "step": text(it.step),
        "revision": it.revision,
        "arm": it.arm.value,
        "target_kind": it.target.kind.value,
        "target": text(it.target.name),
        "replica": text(it.replica),
        "model": text(it.model),
        "request": json(it.request),
        "response": optional_json(it.response),
        "status": it.status,
        "error": optional_text(it.error),
        "finish_reason": optional_text(it.finish_reason),
        "input_tokens": count(it.usage.input_tokens),
        "output_tokens": count(it.usage.output_tokens),
        "reasoning_tokens": count(it.usage.reasoning_tokens),
        "cached_tokens": count(it.usage.cached_tokens),
        "latency": number(it.latency) or 0.0,
        "first_token": number(it.first_token),
        "attempts": it.attempts,
        "user": optional_text(it.user),
        "trace_id": optional_text(it.trace_id),
        "span_id": optional_text(it.span_id),
    }


def _read(row: Row[Any]) -> Exchange:
    return Exchange(
        id=ResponseId(row.id),
        conversation=ConversationId(row.conversation),
        at=row.at,
        key=row.key,
        agent=row.agent,
        step=row.step,
        revision=row.revision,
        arm=Arm(row.arm),
        target=Target(TargetKind(row.target_kind), row.target),
        replica=row.replica,
        model=row.model,
        request=orjson.loads(row.request),
        response=None if row.response is None else orjson.loads(row.response),
        status=row.status,
        error=row.error,
        finish_reason=row.finish_reason,
        usage=Usage(row.input_tokens, row.output_tokens, row.reasoning_tokens, row.cached_tokens),
        latency=row.latency,
        first_token=row.first_token,
        attempts=row.attempts,
        user=row.user,
        trace_id=row.trace_id,
        span_id=row.span_id,
    )
