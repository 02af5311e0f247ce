"""The SQLite saver's file, read without the saver: that one changes whatever it opens."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agentkit.errors import UsageError, near_match
from agentkit.play.threads.conversation import Thread, thread
from agentkit.play.threads.unbuilt import Unreadable, plain

_THREADS = "SELECT DISTINCT thread_id FROM checkpoints WHERE checkpoint_ns = '' ORDER BY thread_id"
_CHECKPOINT = (
    "SELECT type, checkpoint FROM checkpoints "
    "WHERE thread_id = ? AND checkpoint_ns = '' ORDER BY checkpoint_id {} LIMIT 1"
)


def sqlite_threads(source: str, chosen: Sequence[str]) -> Iterator[Thread | tuple[str, str]]:
    """See `read_threads`."""
    with _opened(source) as connection:
        known = [str(row[0]) for row in _rows(connection, source, _THREADS)]
        for id in _chosen(known, chosen, source):
            try:
                yield _thread(connection, id)
            except sqlite3.DatabaseError as error:
                yield id, f"the database is damaged here: {error}"
            except Unreadable as error:
                yield id, str(error)


@contextmanager
def _opened(source: str) -> Iterator[sqlite3.Connection]:
    """The file, read-only. One that nobody has open gets no files beside it either."""
    path = Path(source)
    if not path.is_file():
        found = "found a folder" if path.is_dir() else "there is no such file"
        raise UsageError(f"{source}: expected a SQLite file or a postgresql:// URL, {found}")
    path = path.resolve()  # what SQLite keeps beside a file is beside the file itself, not beside a link to it
    used = path.with_name(f"{path.name}-wal").exists()
    mode = "mode=ro" if used else "mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True)
    except sqlite3.Error as error:
        raise UsageError(f"{source}: cannot be opened: {error}") from None
    connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
    with closing(connection):
        yield connection


def _rows(connection: sqlite3.Connection, source: str, query: str) -> list[Any]:
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError as error:
        tables = _tables(connection)
        if tables is None or "checkpoints" in tables:  # it is locked, say, or of another version
            raise UsageError(f"{source}: cannot be read: {error}") from None
        raise UsageError(
            f"{source}: expected the table `checkpoints` of LangGraph's SQLite saver, found the tables: "
            f"{', '.join(tables) or 'none'}"
        ) from None
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{source}: expected a SQLite file: {error}") from None


def _tables(connection: sqlite3.Connection) -> list[str] | None:
    """None where not even they can be read."""
    try:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.DatabaseError:
        return None
    return sorted(str(row[0]) for row in found)


def _chosen(known: Sequence[str], chosen: Sequence[str], source: str) -> Sequence[str]:
    for id in chosen:
        if id not in known:
            raise UsageError(f"{source}: no thread {id!r}{near_match(id, known)}")
    return chosen or known


def _thread(connection: sqlite3.Connection, id: str) -> Thread:
    last = plain(*connection.execute(_CHECKPOINT.format("DESC"), (id,)).fetchone())
    try:
        first = str(plain(*connection.execute(_CHECKPOINT.format("ASC"), (id,)).fetchone())["ts"])
    except (Unreadable, KeyError, TypeError):
        first = ""
    return thread(id, last, first)
