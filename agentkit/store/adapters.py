"""The registry of adapters: which there are, how far each has come, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Update, insert, select, update
from sqlalchemy.exc import IntegrityError

from agentkit.errors import StoreError
from agentkit.records import Adapter, AdapterName, AdapterState, JobId
from agentkit.store.database import Database
from agentkit.store.engine import explained
from agentkit.store.find import find_adapter
from agentkit.store.storable import json, optional_json, optional_text, text
from agentkit.store.tables import adapters

NEXT_STATES: Mapping[AdapterState, tuple[AdapterState, ...]] = {
    AdapterState.CANDIDATE: (AdapterState.CANARY, AdapterState.RETIRED),
    AdapterState.CANARY: (AdapterState.LIVE, AdapterState.CANDIDATE, AdapterState.RETIRED),
    AdapterState.LIVE: (AdapterState.RETIRED,),
    AdapterState.RETIRED: (AdapterState.CANDIDATE,),
}
"""State → those that may follow. Nothing goes live without having been a canary, and what is taken back begins anew."""


class Adapters(Database):
    """The registry's methods of the store."""

    def add_adapter(self, adapter: Adapter) -> None:
        """Register an adapter whose folder is complete.

        Registering the same one again changes nothing; another one of this name is a StoreError.
        """
        with explained(self._engine.url):
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(adapters).values(_row(adapter)))
            except IntegrityError:
                known = self.adapter(adapter.name)
                if (known.hash, known.manifest_hash) != (adapter.hash, adapter.manifest_hash):
                    raise StoreError(f"{self.url}: another adapter is registered as {adapter.name!r}") from None

    def adapters(self, *, step: str | None = None, state: AdapterState | None = None) -> list[Adapter]:
        """The adapters, newest first: all, or those of a step, or those in a state."""
        query = select(adapters).order_by(adapters.c.adapter.desc())
        for column, wanted in ((adapters.c.step, step), (adapters.c.state, state)):
            if wanted is not None:
                query = query.where(column == wanted)
        with self._transaction() as connection:
            return [_read(row) for row in connection.execute(query)]

    def adapter(self, ref: str) -> Adapter:
        """The adapter named by its name, or by a beginning of it that is no other's."""
        with self._transaction() as connection:
            return _read(find_adapter(connection, ref))

    def set_adapter_state(self, name: AdapterName, state: AdapterState) -> Adapter:
        """Let an adapter take its next step, and give it as it is then. To be what it is already is no step.

        Raises:
            StoreError: no such adapter, or its state does not lead there (`NEXT_STATES`).
        """
        before = [known for known, following in NEXT_STATES.items() if state in following]
        change = update(adapters).where(adapters.c.state.in_(before)).values(state=state.value)
        return self._changed(name, change, state)

    def set_certificate(self, name: AdapterName, certificate: Mapping[str, Any]) -> Adapter:
        """Keep what was measured of an adapter, in place of what was known before; and give it as it is then."""
        return self._changed(name, update(adapters).values(certificate=json(certificate)))

    def _changed(self, name: AdapterName, change: Update, state: AdapterState | None = None) -> Adapter:
        with self._transaction() as connection:
            done = connection.execute(change.where(adapters.c.name == name)).rowcount
            found = _read(_exact(connection, name))
        if not done and found.state is not state:
            following = ", ".join(NEXT_STATES[found.state])
            raise StoreError(
                f"{self.url}: adapter {name} is {found.state} and cannot become {state}; it can become: {following}"
            )
        return found


def _exact(connection: Connection, name: str) -> Row[Any]:
    row = find_adapter(connection, name)
    if row.name != name:
        raise StoreError(f"no adapter {name!r} is registered (did you mean {row.name!r}?)")
    return row


def _row(adapter: Adapter) -> dict[str, Any]:
    """All columns but `adapter`, which the database counts."""
    return {
        "name": text(adapter.name),
        "step": text(adapter.step),
        "scenarios": json(adapter.scenarios),
        "base": text(adapter.base),
        "base_hash": text(adapter.base_hash),
        "parents": json(adapter.parents),
        "job": optional_text(adapter.job),
        "path": text(adapter.path),
        "hash": text(adapter.hash),
        "manifest_hash": text(adapter.manifest_hash),
        "created_at": adapter.created_at,
        "card": json(adapter.card),
        "state": adapter.state.value,
        "certificate": optional_json(adapter.certificate),
    }


def _read(row: Row[Any]) -> Adapter:
    return Adapter(
        name=AdapterName(row.name),
        step=row.step,
        scenarios=tuple(orjson.loads(row.scenarios)),
        base=row.base,
        base_hash=row.base_hash,
        parents=tuple(orjson.loads(row.parents)),
        job=None if row.job is None else JobId(row.job),
        path=row.path,
        hash=row.hash,
        manifest_hash=row.manifest_hash,
        created_at=row.created_at,
        card=orjson.loads(row.card),
        state=AdapterState(row.state),
        certificate=None if row.certificate is None else orjson.loads(row.certificate),
    )
