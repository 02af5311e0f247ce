"""A router with the real store, route table, capture and feedback behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from agentkit.collect.capture import Capture
from agentkit.collect.pseudonym import pseudonym
from agentkit.config import CollectSettings
from agentkit.config.serving import CanarySettings
from agentkit.records import ResponseId
from agentkit.serve.keys import KeyRing, new_key
from agentkit.serve.router import KeyDoor
from agentkit.serve.router.admin import admin_of
from agentkit.serve.router.judged import feedback_of
from agentkit.serve.routes import RouteTable
from agentkit.store import Store
from tests.serve.router.world import World, world


class Real:
    """What a test needs of it."""

    def __init__(self, it: World, store: Store, keys: dict[str, str], table: RouteTable) -> None:
        self.it, self.store, self.keys, self.table = it, store, keys, table

    def chat(self, name: str = "alice", **more: Any) -> Any:
        return self.it.chat(self.keys[name], **more)

    def post(self, name: str, path: str, **body: Any) -> Any:
        with self.it.client(self.keys[name]) as client:
            return client.post(path, json=body)

    def kept(self, response: str) -> Any:
        self.it.until(lambda: self.store.exchanges(limit=1000) and self._there(response))
        return self.store.exchange(ResponseId(response))

    def _there(self, response: str) -> bool:
        return self.store.exchange(ResponseId(response)) is not None


@contextmanager
def real_world(folder: Path, *, canary: CanarySettings | None = None, **more: Any) -> Iterator[Real]:
    collect = CollectSettings(folder=str(folder / "collect"), retention_days=None)
    with Store.open(f"sqlite:///{folder}/store.db") as store:
        keys = {}
        for name in ("alice", "bob", "root"):
            keys[name], row = new_key(name, admin=name == "root")
            store.add_key(row)
        table = RouteTable.open(store)
        parts = {
            "table": table,
            "door": KeyDoor(KeyRing(store, pause=0.02)),
            "capture": Capture(collect, store),
            "pseudonym": partial(pseudonym, folder=collect.folder),
            "admin": admin_of(store, {"frontier"}, canary or CanarySettings(), table.refresh),
            "feedback": feedback_of(store),
            **more,
        }
        try:
            with world(parts=parts) as it:
                yield Real(it, store, keys, table)
        finally:
            table.close()
