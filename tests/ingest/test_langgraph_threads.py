"""Checkpoint databases: one that a real agent wrote, and hostile ones."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agentkit.errors import UsageError
from agentkit.ingest import record
from agentkit.ingest.langgraph import read_langgraph
from agentkit.play.threads import Thread, read_threads
from agentkit.play.threads.unbuilt import Unreadable, plain
from agentkit.records import Party, Verdict
from agentkit.store import Store
from tests.ingest.trace_files import DATA, WORDS, words

RECORDED = DATA / "checkpoints.sqlite"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def write(file: Path, *rows: tuple[str, str, str | None, bytes]) -> Path:
    """A database with these rows: (thread, checkpoint id, type, checkpoint)."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS checkpoints (thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', "
            "checkpoint_id TEXT NOT NULL, type TEXT, checkpoint BLOB)"
        )
        connection.executemany("INSERT INTO checkpoints VALUES (?, '', ?, ?, ?)", rows)
    return file


def checkpoint(*messages: Any, ts: str = "2026-01-02T03:04:05+00:00") -> tuple[str, bytes]:
    """As LangGraph's own serializer writes it."""
    state = {"v": 4, "ts": ts, "id": "1", "channel_values": {"messages": list(messages)}}
    return JsonPlusSerializer().dumps_typed(state)


def only(file: Path) -> Thread:
    (found,) = read_threads(str(file))
    assert isinstance(found, Thread), found
    return found


def complaint(file: Path) -> str:
    (found,) = read_threads(str(file))
    assert isinstance(found, tuple), found
    return found[1]


def test_threads_of_a_real_agent(store: Store, tmp_path: Path) -> None:
    imported = read_langgraph(str(RECORDED), agent="support")
    assert not imported.problems
    first, second = imported.trials
    assert [*words(first.messages)] == WORDS[1:]  # create_agent keeps its instructions out of the state
    (call,) = first.messages[1].tool_calls
    assert (call.id, call.name, call.arguments) == ("call_1", "look_up_order", {"order_id": "A-1"})
    assert (first.messages[2].name, first.messages[2].tool_call_id) == ("look_up_order", "call_1")
    made = first.messages[-1].call
    assert made is not None
    assert (made.model, made.finish_reason, made.usage.input_tokens) == ("tiny-1", "stop", 46)
    assert second.messages[0].content == "Is order A-1 there? \N{WAVING HAND SIGN}"
    assert (first.verdict, first.fault) == (Verdict.INVALID, Party.HARNESS)
    assert first.duration > 0
    assert record(imported, store).new == 2
    assert record(read_langgraph(str(RECORDED), agent="support"), store).new == 0


def test_the_database_is_only_read(tmp_path: Path) -> None:
    file = Path(shutil.copy(RECORDED, tmp_path))
    before = file.read_bytes()
    read_langgraph(str(file))
    assert file.read_bytes() == before
    assert [it.name for it in tmp_path.iterdir()] == [file.name]


def test_chosen_threads_and_those_that_are_not_there() -> None:
    assert [trial.conversation_id for trial in read_langgraph(str(RECORDED), threads=["thread-2"]).trials] == [
        "thread-2"
    ]
    with pytest.raises(UsageError, match="no thread 'thread-3' \\(did you mean 'thread-2'"):
        read_langgraph(str(RECORDED), threads=["thread-3"])


def test_a_thread_that_has_grown_is_another_trial_of_the_same_run(store: Store, tmp_path: Path) -> None:
    file = write(tmp_path / "c.sqlite", ("t", "1", *checkpoint(HumanMessage("hi"), AIMessage("yes?"))))
    first = record(read_langgraph(str(file)), store)
    write(file, ("t", "2", *checkpoint(HumanMessage("hi"), AIMessage("yes?"), HumanMessage("bye"), AIMessage("bye"))))
    write(file, ("u", "3", *checkpoint(HumanMessage("hello"), AIMessage("hello"))))
    second = record(read_langgraph(str(file)), store)
    assert (second.run, second.new) == (first.run, 2)
    assert [len(trial.messages) for trial in store.trials(first.run)] == [2, 4, 2]


@pytest.mark.parametrize("path", ["sub/../c.sqlite", "../folder/c.sqlite", "link/c.sqlite"])
def test_one_file_is_one_run_whatever_path_leads_to_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(folder)
    write(folder / "c.sqlite", ("t", "1", *checkpoint(HumanMessage("hi"), AIMessage("yes?"))))
    monkeypatch.chdir(folder)
    first = record(read_langgraph("c.sqlite"), store)
    again = record(read_langgraph(path), store)
    assert (again.run, again.new, again.known) == (first.run, 0, 1)


def test_a_run_that_an_older_version_named_by_a_link_is_gone_on_with(store: Store, tmp_path: Path) -> None:
    file = write(tmp_path / "c.sqlite", ("t", "1", *checkpoint(HumanMessage("hi"), AIMessage("yes?"))))
    (tmp_path / "link").symlink_to(tmp_path)
    imported = read_langgraph(f"{tmp_path}/link/c.sqlite")
    assert imported.formerly not in (None, imported.run.id)
    older = replace(imported, run=replace(imported.run, id=imported.formerly), formerly=None)
    first = record(older, store)
    write(file, ("u", "2", *checkpoint(HumanMessage("hello"), AIMessage("hello"))))
    second = record(read_langgraph(f"{tmp_path}/link/c.sqlite"), store)
    assert (second.run, second.new, second.known, second.continued) == (first.run, 1, 1, False)


def test_what_is_still_in_the_log_beside_a_file_is_read_through_a_link(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "c.sqlite")) as writer:
        writer.executescript("PRAGMA journal_mode = WAL; SELECT * FROM sqlite_master")
        write(tmp_path / "c.sqlite", ("t", "1", *checkpoint(HumanMessage("hi"))))
        assert (tmp_path / "c.sqlite-wal").stat().st_size > 0
        (tmp_path / "link").symlink_to(tmp_path / "c.sqlite")
        assert words(only(tmp_path / "link").messages) == [("user", 0, "hi")]


def test_messages_of_every_kind(tmp_path: Path) -> None:
    asked = AIMessage(
        [{"type": "text", "text": "Let me"}, {"type": "text", "text": "see."}],
        tool_calls=[{"id": "1", "name": "find", "args": {"x": 1}}],
        invalid_tool_calls=[{"id": "2", "name": "find", "args": "{x", "error": None}],
    )
    failed = ToolMessage("no such x", tool_call_id="1", status="error")
    file = write(
        tmp_path / "c", ("t", "1", *checkpoint(SystemMessage("Be kind."), HumanMessage("find x"), asked, failed))
    )
    system, user, assistant, tool = only(file).messages
    assert (system.role, system.turn, user.turn) == ("system", -1, 0)
    assert assistant.content == "Let me\nsee."
    assert [(call.arguments, call.raw) for call in assistant.tool_calls] == [({"x": 1}, None), (None, "{x")]
    assert (tool.name, tool.error, tool.tool_call_id) == ("find", "ToolException", "1")


def test_the_older_form_in_json(tmp_path: Path) -> None:
    about = '"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"]'
    message = f'{{{about}, "kwargs": {{"content": "hi"}}}}'
    content = f'{{"ts": "2026-01-02T03:04:05+00:00", "channel_values": {{"messages": [{message}]}}}}'
    thread = only(write(tmp_path / "c", ("t", "1", "json", content.encode())))
    assert words(thread.messages) == [("user", 0, "hi")]


def test_plain_messages_of_a_chat_api(tmp_path: Path) -> None:
    """As a graph keeps them that has no reducer of LangChain's."""
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"x": 1}'}}
    broken = {"id": "2", "type": "function", "function": {"name": "find", "arguments": "{x"}}
    said = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "find x"},
        {"role": "assistant", "content": None, "tool_calls": [call, broken]},
        {"role": "tool", "content": "no such x", "tool_call_id": "1"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "There is none."}]},
    ]
    thread = only(write(tmp_path / "c", ("t", "1", *checkpoint(*said))))
    assert words(thread.messages) == [
        ("system", -1, "Be kind."),
        ("user", 0, "find x"),
        ("assistant", 0, ""),
        ("tool", 0, "no such x"),
        ("assistant", 0, "There is none."),
    ]
    calls = thread.messages[2].tool_calls
    assert [(call.name, call.arguments, call.raw) for call in calls] == [("find", {"x": 1}, None), ("find", None, "{x")]
    assert thread.messages[3].name == "find"


def test_pieces_of_a_stream_and_messages_with_a_role_of_their_own(tmp_path: Path) -> None:
    said = [ChatMessage(content="hi", role="user"), AIMessageChunk(content="yes?"), HumanMessageChunk(content="bye")]
    thread = only(write(tmp_path / "c", ("t", "1", *checkpoint(*said))))
    assert words(thread.messages) == [("user", 0, "hi"), ("assistant", 0, "yes?"), ("user", 1, "bye")]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (RemoveMessage(id="1"), "messages[1]: expected the type or role human, ai, system or tool, found 'remove'"),
        ({"role": "critic", "content": "no"}, "ai, system or tool, found 'critic'"),
        (ChatMessage(content="no", role="critic"), "ai, system or tool, found 'chat' and 'critic'"),
        ({"type": ["human"], "content": "no"}, "ai, system or tool, found none"),
        ("no", "messages[1]: expected a message, found str"),
        (["user", "no"], "messages[1]: expected a message, found list"),
        ({"role": "model", "parts": []}, "ai, system or tool, found 'model'"),
        ({"role": "user", "parts": [{"text": "no"}]}, "messages[1]: expected `content` or `tool_calls`, found neither"),
        ({"role": "user", "content": {"text": "no"}}, "messages[1].content: expected a text or a list, found dict"),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "find", "input": {}}]},
            "messages[1].content: found a block tool_use, expected `tool_calls` and messages of the role tool",
        ),
    ],
    ids=range(10),
)
def test_a_message_of_another_form_is_told_with_its_thread(tmp_path: Path, message: Any, why: str) -> None:
    """It does not vanish from a conversation that looks whole."""
    file = write(tmp_path / "c", ("t", "1", *checkpoint({"role": "user", "content": "hi"}, message)))
    assert why in complaint(file)
    (problem,) = read_langgraph(str(file)).problems
    assert problem.field == "thread t"


class Hostile:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return (exec, ("import pathlib; pathlib.Path('owned').touch()",))


def calling(code: int, module: str, name: str, argument: Any, *more: str) -> ormsgpack.Ext:
    return ormsgpack.Ext(code, ormsgpack.packb([module, name, argument, *more]))


def test_nothing_that_a_checkpoint_names_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch = "__import__('pathlib').Path('owned').touch()"
    marker = tmp_path / "marker_module.py"
    marker.write_text("import pathlib; pathlib.Path('owned').touch()")
    monkeypatch.syspath_prepend(str(tmp_path))
    attacks = [
        calling(0, "builtins", "eval", touch),
        calling(1, "builtins", "eval", [touch]),
        calling(2, "subprocess", "run", {"args": ["touch", "owned"]}),
        calling(3, "builtins", "eval", touch, "__call__"),
        calling(4, "marker_module", "anything", {}),
        calling(5, "marker_module", "anything", {"content": "hi", "type": "human"}),
        calling(0, "re", "compile", "(a+)+$"),
    ]
    # LangGraph's serializer as it comes runs them: the attacks are real.
    JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(("msgpack", ormsgpack.packb(attacks[0])))
    assert (tmp_path / "owned").exists()
    (tmp_path / "owned").unlink()
    said = [attacks[5], {"type": "human", "content": "hi"}]
    state = {"ts": "", "channel_values": {"messages": said, "notes": attacks}}
    file = write(
        tmp_path / "c",
        ("built", "1", "msgpack", ormsgpack.packb(state)),
        ("constructed", "1", "json", b'{"lc": 2, "type": "constructor", "id": ["builtins", "eval"], "args": ["1/0"]}'),
        ("pickled", "1", "pickle", pickle.dumps(Hostile())),
    )
    found = {it.id if isinstance(it, Thread) else it[0]: it for it in read_threads(str(file))}
    assert not (tmp_path / "owned").exists()
    assert "marker_module" not in sys.modules
    built = found["built"]
    assert isinstance(built, Thread)
    assert words(built.messages) == [("user", 0, "hi"), ("user", 0, "hi")]
    assert "unpickling runs whatever code it holds" in found["pickled"][1]
    assert "found the channels: none" in found["constructed"][1]


def test_secrets_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    value = plain("json", b'{"content": {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}}')
    assert "sk-very-secret" not in repr(value)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("msgpack", b"\xc1", "damaged"),
        ("msgpack", checkpoint(HumanMessage("hi"))[1][:-9], "damaged"),
        ("msgpack", b"\x91" * 100_000 + b"\x00", "damaged"),
        ("json", b"[" * 100_000, "damaged"),
        ("json", b"\xff", "damaged"),
        ("msgpack+aes", b"x", "encrypted"),
        (None, b"x", "of the kind None, expected msgpack or json"),
        ("msgpack", b"\x07", "found the channels: none"),
        ("msgpack", ormsgpack.packb({"channel_values": {"topic": 1, "__start__": 2}}), "found the channels: topic"),
        ("msgpack", ormsgpack.packb({"channel_values": {"messages": "hi"}}), "expected a list of messages"),
        (
            "msgpack",
            ormsgpack.packb({"channel_values": {"messages": ormsgpack.Ext(7, b"\x90")}}),
            "only the graph that wrote them",
        ),
    ],
    ids=range(11),
)
def test_a_checkpoint_that_cannot_be_read_says_why(
    tmp_path: Path, kind: str | None, content: bytes, message: str
) -> None:
    file = write(tmp_path / "c", ("t", "1", kind, content))
    assert message in complaint(file)


def test_the_other_threads_are_imported(tmp_path: Path) -> None:
    good = checkpoint(HumanMessage("hi"), AIMessage("yes?"))
    file = write(tmp_path / "c", ("a", "1", "pickle", b""), ("b", "1", *good))
    imported = read_langgraph(str(file))
    assert [trial.conversation_id for trial in imported.trials] == ["b"]
    assert [problem.field for problem in imported.problems] == ["thread a"]
    assert imported.run.status == "interrupted"


def test_files_that_are_no_checkpoint_databases(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello " * 1_000)
    with closing(sqlite3.connect(tmp_path / "other")) as connection, connection:
        connection.execute("CREATE TABLE orders (id)")
    whole = RECORDED.read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 3])
    for name, message in {
        "nothing": "there is no such file",
        ".": "found a folder",
        "text": "expected a SQLite file",
        "other": "found the tables: orders",
    }.items():
        with pytest.raises(UsageError, match=message):
            list(read_threads(str(tmp_path / name)))
    with pytest.raises(UsageError, match="expected a SQLite file"):
        list(read_threads(str(tmp_path / "cut")))


def test_a_file_whose_log_cannot_be_opened(tmp_path: Path) -> None:
    """As on a medium that nobody may write to. (SQLite follows no link to the memory that its readers share.)"""
    (tmp_path / "copy").mkdir()
    with closing(sqlite3.connect(tmp_path / "c")) as writer:
        writer.executescript("PRAGMA journal_mode = WAL; SELECT * FROM sqlite_master")
        write(tmp_path / "c", ("t", "1", *checkpoint(HumanMessage("hi"))))
        for name in ("c", "c-wal"):
            shutil.copy(tmp_path / name, tmp_path / "copy")
    (tmp_path / "copy" / "c-shm").symlink_to(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"copy/c: cannot be read: unable to open database file$"):
        list(read_threads(str(tmp_path / "copy" / "c")))


def test_a_table_of_another_version(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "c")) as connection, connection:
        connection.execute("CREATE TABLE checkpoints (thread_id TEXT, checkpoint_id TEXT, type TEXT, checkpoint BLOB)")
    with pytest.raises(UsageError, match="c: cannot be read: no such column: checkpoint_ns"):
        list(read_threads(str(tmp_path / "c")))


def test_postgres_without_its_saver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match="pip install langgraph-checkpoint-postgres") as error:
        list(read_threads("postgresql://me:secret@localhost/db"))
    assert "secret" not in str(error.value)


def test_a_pickle_is_never_opened() -> None:
    with pytest.raises(Unreadable, match="pickled"):
        plain("pickle", pickle.dumps(Hostile()))
