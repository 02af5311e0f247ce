"""The keys that the router knows, by name."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from agentkit.errors import StoreError, near_match
from agentkit.records import ApiKey, KeyLimits
from agentkit.store.database import Database
from agentkit.store.engine import explained
from agentkit.store.storable import json, text
from agentkit.store.tables import keys


class Keys(Database):
    """The store's methods for API keys."""

    def add_key(self, key: ApiKey) -> None:
        """Let a key in. A name is given once, even where the key that had it is revoked: records refer to it.

        Raises StoreError where the name or the key is taken.
        """
        with explained(self._engine.url):
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(keys).values(_row(key)))
            except IntegrityError:
                raise StoreError(f"{self.url}: there is a key {key.name!r} already; names are given once") from None

    def api_keys(self) -> list[ApiKey]:
        """All keys, revoked ones too, by name."""
        with self._transaction() as connection:
            return [_read(row) for row in connection.execute(select(keys).order_by(keys.c.name))]

    def revoke_key(self, name: str) -> ApiKey:
        """Shut a key out, and give it as it is then; one that is shut out already stays as it was.

        Raises StoreError where there is none of that name.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._transaction() as connection:
            connection.execute(
                update(keys).where(keys.c.name == name, keys.c.revoked_at.is_(None)).values(revoked_at=now)
            )
            row = connection.execute(select(keys).where(keys.c.name == name)).one_or_none()
            known = [] if row else list(connection.execute(select(keys.c.name)).scalars())
        if row is None:
            raise StoreError(f"{self.url}: no key is called {name!r}{near_match(name, known)}")
        return _read(row)


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "name": text(key.name),
        "hash": key.hash,
        "admin": key.admin,
        "limits": json(asdict(key.limits)),
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def _read(row: Row[Any]) -> ApiKey:
    return ApiKey(
        name=row.name,
        hash=row.hash,
        created_at=row.created_at,
        admin=row.admin,
        limits=KeyLimits(**orjson.loads(row.limits)),
        revoked_at=row.revoked_at,
    )
