"""The stand-ins for vLLM of the fleet's tests, and a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.store import Store
from tests.serve.fleet.conftest import base, cache, make_adapter, park

__all__ = ["base", "cache", "make_adapter", "park"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        yield store
