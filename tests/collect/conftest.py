from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.collect import capture, mover
from agentkit.config import CollectSettings
from agentkit.store import Store


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store in which nothing is; copied, since making one takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "store.db"
    Store.open(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    shutil.copy(empty_store, tmp_path / "store.db")
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> CollectSettings:
    return CollectSettings(folder=str(tmp_path / "collect"), retention_days=None)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spill files are closed, and looked for, more often than in production."""
    monkeypatch.setattr(capture, "_SEGMENT_SECONDS", 0.05)
    monkeypatch.setattr(mover, "_LOOK", 0.05)
    monkeypatch.setattr(mover, "_FIRST_PAUSE", 0.05)
