"""From a URL to a SQLAlchemy engine, and from a database's complaint to an error that a person can act on."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

from agentkit.errors import StoreError, StoreUnavailable

BUSY_SECONDS = 30.0
"""How long a writer waits for other writers."""

_NOTICED = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Options of libpq (seconds, the last milliseconds): a database that went away without a word is noticed within about a
minute, and nobody waits for it longer. What the URL says goes before."""

_SAFE = "every trial recorded before this is safe"
_SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)


def open_engine(url: str) -> Engine:
    """An engine for the URL; the folder of a SQLite file is made. Nothing is connected yet.

    Raises StoreError for what is no URL, an unknown database or driver, or a folder that cannot be made.
    """
    parsed = _parse(url)
    try:
        engine = create_engine(parsed, hide_parameters=True, connect_args=_connect_args(parsed))
    except NoSuchModuleError:
        raise StoreError(
            f"{masked(parsed)}: no database of the kind {parsed.drivername!r} is known; "
            "try sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        ) from None
    except ImportError as error:
        raise StoreError(f"{masked(parsed)}: its driver is not installed: try `pip install {error.name}`") from None
    except (SQLAlchemyError, TypeError, ValueError) as error:
        raise StoreError(f"{masked(parsed)}: {_without_password(parsed, str(error))}") from None
    if engine.dialect.is_async:
        raise StoreError(f"{masked(parsed)}: {parsed.drivername!r} is an asynchronous driver; name a synchronous one")
    if parsed.get_backend_name() == "sqlite":
        _prepare_sqlite(engine, parsed)
    return engine


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        hint = "" if "://" in url else f"; for a file write sqlite:///{url}"
        shown = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)
        raise StoreError(f"{shown!r} is not the URL of a database{hint}") from None


def _connect_args(url: URL) -> dict[str, int]:
    if url.get_backend_name() != "postgresql" or not url.get_driver_name().startswith("psycopg"):
        return {}
    return {name: value for name, value in _NOTICED.items() if name not in url.query}


def masked(url: URL) -> str:
    """The URL as it may be shown: no password, neither in its place nor among the options."""
    options = {name: "***" if _SECRET.search(name) else value for name, value in url.query.items()}
    return url.set(query=options).render_as_string(hide_password=True)


def _without_password(url: URL, text: str) -> str:
    secrets = [url.password, *(value for name, value in url.query.items() if _SECRET.search(name))]
    for secret in secrets:
        if isinstance(secret, str) and secret:
            text = text.replace(secret, "***")
    return text


def _prepare_sqlite(engine: Engine, url: URL) -> None:
    path = url.database
    if not path or path == ":memory:":
        raise StoreError(f"{masked(url)}: a store in memory would survive nothing; name a file: sqlite:///FILE")
    if not path.startswith("file:"):
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{masked(url)}: the folder cannot be made: {error.strerror}: {error.filename}") from None
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)


def _on_sqlite_connect(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, so that they hold schema changes, too
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for other processes when it changes the journal of a fresh file; so this does."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _on_sqlite_begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turn whatever the database says into a StoreError that names the store; StoreUnavailable where it is not about
    what the database was asked."""
    try:
        yield
    except (SQLAlchemyError, OverflowError, UnicodeError, sqlite3.Error) as error:
        cause = _without_password(url, str(getattr(error, "orig", None) or error)).strip()
        kind = StoreUnavailable if _is_unavailable(error) else StoreError
        raise kind(f"{masked(url)}: {_explanation(cause)}") from error


def _is_unavailable(error: Exception) -> bool:
    """As the DB-API tells it. PostgreSQL says by the same exceptions that a row is too large (54) or that it cannot
    make anything of it (XX)."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    of_store = OperationalError, InternalError, TimeoutError, sqlite3.OperationalError
    return isinstance(error, of_store) and not state.startswith(("54", "XX"))


def _explanation(cause: str) -> str:
    if "disk is full" in cause or "No space left" in cause:
        return f"the disk is full: {_SAFE}; free some space and resume the run"
    if "database is locked" in cause:
        return f"another process has held the store for {BUSY_SECONDS:.0f} s: {_SAFE}; try again once it is done"
    if "readonly database" in cause:
        return f"the store cannot be written: {cause}"
    if "not a database" in cause:
        return "the file is not a SQLite database, so not a store"
    if "unable to open database file" in cause:
        return "the file cannot be opened: is it a folder, or closed to you?"
    return cause
