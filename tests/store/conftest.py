"""One suite for every backend: SQLite always, PostgreSQL where there is one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from agentkit.store import Store
from tests import postgres


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, postgres.NEEDED])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/below/store.db"
        return
    schema = f"test_{uuid.uuid4().hex}"
    named: str = request.getfixturevalue("postgres_url")
    server = create_engine(named)
    with server.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        inside = make_url(named).update_query_dict({"options": f"-csearch_path={schema}"})
        yield inside.render_as_string(hide_password=False)
    finally:
        with server.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        server.dispose()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened
