"""The numbered migrations lead to the tables that the code knows, from wherever a store stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, create_engine, event, inspect, text

from agentkit.errors import StoreError
from agentkit.store import Store, migrate
from agentkit.store.engine import open_engine
from agentkit.store.tables import metadata
from tests.store.records import make_run, make_trial

FOLDER = Path(migrate.__file__).parent / "migrations"
REVISIONS = [None, *sorted(path.name[:4] for path in (FOLDER / "versions").glob("[0-9]*.py"))]


def differences(engine: Engine, known: MetaData = metadata) -> list[object]:
    with engine.connect() as connection:
        return compare_metadata(MigrationContext.configure(connection), known)


def upgrade(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
        command.upgrade(config, revision)


def test_the_head_is_the_newest_file_and_the_files_are_one_line() -> None:
    script = ScriptDirectory(str(FOLDER))
    chain = [revision.revision for revision in script.walk_revisions()]
    assert chain[::-1] == REVISIONS[1:]
    assert script.get_heads() == [migrate.HEAD]


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_leads_to_the_known_tables(url: str, revision: str | None) -> None:
    Path(url.removeprefix("sqlite:///")).parent.mkdir(exist_ok=True) if url.startswith("sqlite") else None
    engine = create_engine(url)
    if revision:
        upgrade(engine, revision)
    Store.open(url).close()
    assert differences(engine) == []
    assert set(inspect(engine).get_table_names()) == {*metadata.tables, "alembic_version"}
    engine.dispose()


def test_a_difference_would_be_seen(url: str) -> None:
    Store.open(url).close()
    changed = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(changed)
    changed.tables["trials"].append_column(Column("unheard_of", Integer))
    engine = create_engine(url)
    assert [str(found[0]) for found in differences(engine, changed)] == ["add_column"]
    engine.dispose()


def test_a_newer_store_is_refused_and_left_alone(url: str) -> None:
    with Store.open(url) as store:
        store.create_run(make_run("a"))
        store.add_trials([make_trial(make_run("a").id, 0)])
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(StoreError, match=rf"newer agentkit \(schema 0999; this one knows {migrate.HEAD}\): upgrade"):
        Store.open(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM messages")).scalar() == 6
    engine.dispose()


def test_a_schema_of_another_program_is_refused(url: str) -> None:
    Store.open(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'ae10f2c3'"))
    engine.dispose()
    with pytest.raises(StoreError, match="belongs to another program"):
        Store.open(url)


def test_a_migration_that_fails_leaves_the_store_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = migrate._upgrade

    def fail(connection: object) -> None:
        done(connection)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migrate, "_upgrade", fail)
        with pytest.raises(KeyboardInterrupt):
            Store.open(url)
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    Store.open(url).close()


@pytest.mark.slow
@pytest.mark.parametrize("looks", range(1, 5))
def test_another_process_may_be_quicker_at_any_moment(url: str, looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = looks

    def be_quicker(connection: Connection, *_: object) -> None:
        nonlocal left
        if not connection.get_execution_options().get("immediate"):
            left -= 1
            if left == 0:
                monkeypatch.undo()
                Store.open(url).close()

    def watched(url: str) -> Engine:
        engine = open_engine(url)
        event.listen(engine, "after_cursor_execute", be_quicker)
        return engine

    monkeypatch.setattr("agentkit.store.store.open_engine", watched)
    with Store.open(url) as store:
        assert store.runs() == []
    assert left <= 0, "somebody was quicker"


@pytest.mark.slow
def test_alembic_is_imported_only_to_migrate(url: str) -> None:
    code = "import sys, agentkit.store as s; s.Store.open(sys.argv[1]); print('alembic' in sys.modules)"
    said = [
        subprocess.run([sys.executable, "-c", code, url], check=True, capture_output=True, text=True).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["True", "False"]


def test_the_history_of_a_step_across_runs_is_read_through_indices(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    Store.open(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        plan = connection.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT s.status FROM trials t "
                "JOIN steps s ON s.run = t.run AND s.trial = t.trial "
                "WHERE t.scenario = 'a' AND t.variant = 'golden' AND s.step = 'find'"
            )
        ).all()
    engine.dispose()
    details = " ".join(str(row[-1]) for row in plan)
    assert "ix_trials_scenario_variant" in details
    assert "SCAN" not in details
