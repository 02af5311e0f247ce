"""Opening a store: what is made, what is refused, and in which words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, make_url

from agentkit.errors import StoreError, StoreUnavailable
from agentkit.records import RunId
from agentkit.store import DEFAULT_URL, Store, engine
from tests import postgres
from tests.store.records import make_run, make_trial

SECRET = "hush-hush-4711"


def refused(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_the_default_is_a_file_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.open() as store:
        assert store.url == DEFAULT_URL
    assert (tmp_path / ".agentkit" / "agentkit.db").is_file()


def test_what_was_written_is_there_after_reopening(url: str) -> None:
    run = make_run("a")
    with Store.open(url) as store:
        store.create_run(run)
        store.add_trials([make_trial(run.id, 0)])
    with Store.open(url) as store:
        assert list(store.trials(run.id)) == [make_trial(run.id, 0)]


def test_the_password_is_never_shown() -> None:
    shown = engine.masked(make_url(f"postgresql+psycopg://me:{SECRET}@db/x?sslpassword={SECRET}&application_name=a"))
    assert SECRET not in shown
    assert "me:***@db/x" in shown
    assert "application_name=a" in shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("runs.db", "'runs.db' is not the URL of a database; for a file write sqlite:///runs.db"),
        (f"://me:{SECRET}@db", "is not the URL of a database"),
        (f"postgresql://me:{SECRET}@db:port/x", "is not the URL of a database"),
        (f"nosuch://me:{SECRET}@db/x", "nosuch://me:***@db/x: no database of the kind 'nosuch' is known"),
        (
            f"mssql+pymssql://me:{SECRET}@db/x",
            "mssql+pymssql://me:***@db/x: its driver is not installed: try `pip",
        ),
        ("sqlite://", "a store in memory would survive nothing"),
        ("sqlite:///:memory:", "a store in memory would survive nothing"),
        ("sqlite:////dev/null/below/store.db", "the folder cannot be made: Not a directory"),
        ("sqlite:////dev/full", "/dev/full: "),
    ],
)
def test_urls_that_cannot_be_opened(url: str, message: str) -> None:
    assert message in refused(url)


def test_an_asynchronous_driver(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    assert "is an asynchronous driver" in refused(f"postgresql+psycopg_async://me:{SECRET}@db/x")


def test_a_server_that_does_not_answer() -> None:
    pytest.importorskip("psycopg")
    message = refused(f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x?application_name=a")
    assert message.startswith("postgresql+psycopg://me:***@127.0.0.1:1/x?application_name=a: ")
    assert "refused" in message


@pytest.mark.slow
@postgres.NEEDED
def test_a_server_that_went_away_without_a_word_is_noticed(postgres_url: str) -> None:
    told = make_url(postgres_url).update_query_dict({"keepalives_idle": "5"})
    opened = engine.open_engine(told.render_as_string(hide_password=False))
    with opened.connect() as connection:
        known = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    opened.dispose()
    assert {name: known[name] for name in ("connect_timeout", "keepalives_idle", "tcp_user_timeout")} == {
        "connect_timeout": "10",
        "keepalives_idle": "5",
        "tcp_user_timeout": "60000",
    }


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all\n" * 100)
    assert f"sqlite:///{path}: the file is not a SQLite database" in refused(f"sqlite:///{path}")
    assert path.read_text() == "not a database at all\n" * 100


def test_a_folder_where_a_file_should_be(tmp_path: Path) -> None:
    assert "the file cannot be opened" in refused(f"sqlite:///{tmp_path}")


def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE runs (mine TEXT)")
    assert "it has a table 'runs' and is no store" in refused(f"sqlite:///{path}")


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    url, run = f"sqlite:///{tmp_path}/store.db", make_run("a")
    with Store.open(url) as store:
        store.create_run(run)
    with few_pages(60), Store.open(url) as store:
        kept = 0

        def play_on() -> None:
            nonlocal kept
            for start in range(0, 10_000, 4):
                kept += store.add_trials([make_trial(run.id, start + i) for i in range(4)])

        with pytest.raises(StoreUnavailable, match="the disk is full: every trial recorded before this is safe"):
            play_on()
        assert kept >= 4
        assert list(store.trials(run.id)) == [make_trial(run.id, i) for i in range(kept)]
    with Store.open(url) as store:
        assert store.add_trials([make_trial(run.id, i) for i in range(kept + 4)]) == 4


@contextmanager
def few_pages(pages: int) -> Iterator[None]:
    """Make SQLite say that the disk is full at so many pages."""

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


def test_a_store_that_another_process_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    path, run = tmp_path / "store.db", make_run("a")
    with Store.open(f"sqlite:///{path}") as store:
        store.create_run(run)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StoreUnavailable, match=r"another process has held the store for \d+ s: every trial recorded"
        ):
            store.add_trials([make_trial(run.id, 0)])
        assert list(store.trials(run.id)) == [], "reading goes on meanwhile"
        holder.execute("ROLLBACK")
        holder.close()
        assert store.add_trials([make_trial(run.id, 0)]) == 1


class Locked:
    """A connection to a file whose journal another process is changing: rare, and gone in a moment."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.mode = "delete"

    def execute(self, statement: str) -> Locked:
        if self.left:
            self.left -= 1
            raise sqlite3.OperationalError("database is locked")
        if statement.endswith("WAL"):
            self.mode = "wal"
        return self

    def fetchone(self) -> tuple[str]:
        return (self.mode,)


def test_a_journal_that_another_process_is_changing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Locked(times=3)
    engine._use_wal(connection)  # type: ignore[arg-type]
    assert connection.mode == "wal"
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        engine._use_wal(Locked(times=1000))  # type: ignore[arg-type]


def test_a_store_that_may_only_be_read(tmp_path: Path) -> None:
    path, run = tmp_path / "store.db", make_run("a")
    with Store.open(f"sqlite:///{path}") as store:
        store.create_run(run)
    with Store.open(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        assert store.run("last") == run
        with pytest.raises(StoreError, match="the store cannot be written: attempt to write a readonly database"):
            store.add_trials([make_trial(run.id, 0)])


def test_a_store_that_lost_a_table_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(f"sqlite:///{path}") as store:
        store.create_run(make_run("a"))
        with sqlite3.connect(path) as vandal:
            vandal.execute("DROP TABLE messages")
        with pytest.raises(StoreError, match=r"store\.db: no such table: messages"):
            store.add_trials([make_trial(RunId("a"), 0)])
        assert store.keys(RunId("a")) == set(), "no trial without its messages"
