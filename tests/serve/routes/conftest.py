"""A store with two adapters, and a clock that stands still."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentkit.records import AdapterState, Target, TargetKind
from agentkit.serve.routes import RouteTable
from agentkit.store import Store
from tests.store.records import make_adapter

PROMOTABLE = {"verdict": "promote"}
BASE = Target(TargetKind.BASE)
A = Target(TargetKind.ADAPTER, "refund-v1-3fa9")
B = Target(TargetKind.ADAPTER, "refund-v2-77aa")
CLOUD = Target(TargetKind.UPSTREAM, "cloud")


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def wait(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's file with two adapters. Not to be written to: making one anew costs more than copying it."""
    file = tmp_path_factory.mktemp("store") / "store.db"
    with Store.open(f"sqlite:///{file}") as opened:
        opened.add_adapter(make_adapter(A.name, certificate=PROMOTABLE))
        opened.add_adapter(make_adapter(B.name, certificate=PROMOTABLE, hash="44" * 32, manifest_hash="55" * 32))
    return file


@pytest.fixture
def url(new_store: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(new_store, tmp_path / 'store.db')}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(store: Store, clock: Clock) -> Iterator[RouteTable]:
    """Follows the store only when it is told to."""
    made = RouteTable(store, clock=clock)
    yield made
    made.close()


def state(store: Store, target: Target) -> AdapterState:
    return store.adapter(target.name).state
