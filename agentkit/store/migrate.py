"""Bring a database to the schema that this code knows, and refuse one that is newer.

Alembic is imported only where there is something to do: opening a current store reads one row.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from agentkit.errors import StoreError
from agentkit.store.engine import masked
from agentkit.store.tables import metadata

HEAD = "0007"
"""The number of the newest file in `migrations/versions`."""

_MIGRATIONS = Path(__file__).parent / "migrations"

_alembic = threading.Lock()  # its context is a global


def migrate(engine: Engine) -> None:
    """Make the store current. Several processes may do this at once: one does it, the others find it done.

    Raises StoreError where the store is newer than the code or belongs to another program.
    """
    while (version := _read_version(engine)) != HEAD:
        try:
            with engine.connect().execution_options(immediate=True) as connection, connection.begin():
                _upgrade(connection)
        except DBAPIError:
            if _read_version(engine) == version:
                raise  # nobody else was quicker: the complaint is real


def _read_version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return _version(connection)


def _version(connection: Connection) -> str | None:
    """The schema's number; None in a fresh database."""
    name = masked(connection.engine.url)
    tables = set(inspect(connection).get_table_names())  # one look: another process may make them all at any moment
    if "alembic_version" not in tables:
        if taken := sorted(tables & set(metadata.tables)):
            raise StoreError(f"{name}: it has a table {taken[0]!r} and is no store: belongs to another program")
        return None
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if version is None or (version.isdigit() and int(version) <= int(HEAD)):
        return version
    if version.isdigit():
        raise StoreError(
            f"{name}: was written by a newer agentkit (schema {version}; this one knows {HEAD}): "
            "upgrade agentkit, or name another store"
        )
    raise StoreError(f"{name}: belongs to another program (its schema is {version!r}, not a store's)")


def _upgrade(connection: Connection) -> None:
    with _alembic:
        from alembic import command
        from alembic.config import Config

        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        command.upgrade(config, HEAD)
