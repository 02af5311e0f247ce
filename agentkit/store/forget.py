"""A user's rows are removed in one transaction, and what arrives later, of them or of their conversations, is not
kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.dialects import postgresql, sqlite

from agentkit.records import ConversationId
from agentkit.store.database import Database
from agentkit.store.engine import explained
from agentkit.store.exchanges import conversations_of, delete_by, overwrite, remember_forgotten
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
        and further conversations that are known to be theirs. In one transaction; doing it again is no error. What
        arrives of these conversations later is not recorded either, whomever it names.

        What it leaves in the database's file is overwritten where that is SQLite.
        """
        row = {"user": text(user), "at": datetime.now(UTC).isoformat(timespec="milliseconds")}
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        with self._transaction() as connection:
            overwrite(connection)
            # First, so that what is recorded from now on leaves this user out, and this transaction waits for others.
            connection.execute(dialect.insert(forgotten).on_conflict_do_nothing(index_elements=["user"]), row)
            found = sorted({*conversations_of(connection, user), *conversations})
            remember_forgotten(connection, found)
            gone = [delete_by(connection, table.c.conversation, found) for table in (exchanges, feedback, pins)]
        self._checkpoint()
        return Forgotten(tuple(found), *gone)

    def _checkpoint(self) -> None:
        """SQLite's log of writes still holds what was deleted until it is written back."""
        if self._engine.dialect.name == "sqlite":
            with explained(self._engine.url), self._engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert driver is not None
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
