"""What everything that keeps records in the store shares: the database, and transactions in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from agentkit.store.engine import explained, masked


class Database:
    """An open database. Its methods raise StoreError where the database fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def url(self) -> str:
        """Where the store is, fit to be shown."""
        return masked(self._engine.url)

    @contextmanager
    def _transaction(self, *, immediate: bool = False) -> Iterator[Connection]:
        """`immediate`: it reads before it writes. In SQLite such a one has to wait at its beginning for its turn to
        write, since it cannot later."""
        engine = self._engine.execution_options(immediate=True) if immediate else self._engine
        with explained(self._engine.url), engine.begin() as connection:
            yield connection
