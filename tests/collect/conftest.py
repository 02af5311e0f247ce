from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.config import CollectSettings
from agentkit.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> CollectSettings:
    return CollectSettings(folder=str(tmp_path / "collect"), retention_days=None)
