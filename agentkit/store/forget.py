"""A user's rows are removed in one transaction, and what arrives of them later is not kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, delete, insert, literal, select

from agentkit.records import ConversationId
from agentkit.store.database import Database
from agentkit.store.engine import explained
from agentkit.store.exchanges import chunks, conversations_of
from agentkit.store.storable import text
from agentkit.store.tables import exchanges, feedback, forgotten, pins


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed of a user."""

    conversations: tuple[ConversationId, ...]
    exchanges: int
    feedback: int
    pins: int


class Forget(Database):
    """The store's methods for users who ask to be forgotten."""

    def forget(self, user: str, conversations: Sequence[ConversationId] = ()) -> Forgotten:
        """Remove a user, named by pseudonym: every conversation in which they took part, and all that was said of it;
        and further conversations that are known to be theirs. In one transaction; doing it again is no error.

        What it leaves in the database's file is overwritten where that is SQLite.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        known = select(forgotten.c.user).where(forgotten.c.user == text(user))
        remembered = select(literal(text(user)), literal(now)).where(~known.exists())
        with self._transaction() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            # First, so that what is recorded from now on leaves this user out, and this transaction waits for others.
            connection.execute(insert(forgotten).from_select(["user", "at"], remembered))
            found = sorted({*conversations_of(connection, user), *conversations})
            gone = [_delete(connection, table, found) for table in (exchanges, feedback, pins)]
        self._checkpoint()
        return Forgotten(tuple(found), *gone)

    def is_forgotten(self, user: str) -> bool:
        """Whether a user, named by pseudonym, asked to be forgotten."""
        with self._transaction() as connection:
            query = select(forgotten.c.user).where(forgotten.c.user == text(user))
            return connection.execute(query).first() is not None

    def _checkpoint(self) -> None:
        """SQLite's log of writes still holds what was deleted until it is written back."""
        if self._engine.dialect.name == "sqlite":
            with explained(self._engine.url), self._engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert driver is not None
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _delete(connection: Connection, table: Table, conversations: Sequence[ConversationId]) -> int:
    return sum(
        connection.execute(delete(table).where(table.c.conversation.in_(some))).rowcount
        for some in chunks(conversations)
    )
