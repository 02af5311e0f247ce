"""Routers that several tests share; each test finds them as if they were new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.router.kept import Real, real_world
from tests.serve.router.world import World, world


@pytest.fixture(scope="session")
def shared() -> Iterator[World]:
    with world() as it:
        yield it


@pytest.fixture
def one(shared: World) -> World:
    """A router before one upstream."""
    return shared.fresh()


@pytest.fixture(scope="session")
def shared_pair() -> Iterator[World]:
    with world(2) as it:
        yield it


@pytest.fixture
def two(shared_pair: World) -> World:
    """A router before two upstreams."""
    return shared_pair.fresh()


@pytest.fixture(scope="package")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """A router with the real parts behind it; what tests leave in its store stays."""
    with real_world(tmp_path_factory.mktemp("project")) as it:
        yield it
