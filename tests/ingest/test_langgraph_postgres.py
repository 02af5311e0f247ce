"""LangGraph's own Postgres saver on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages

from agentkit.errors import UsageError
from agentkit.ingest.langgraph import read_langgraph
from tests.postgres import NEEDED

psycopg = pytest.importorskip("psycopg")
postgres = pytest.importorskip("langgraph.checkpoint.postgres")

pytestmark = [pytest.mark.slow, NEEDED]


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    """A schema of its own, gone afterwards."""
    url = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA agentkit_threads")
        yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dagentkit_threads"
        connection.execute("DROP SCHEMA agentkit_threads CASCADE")


def test_threads(database: str) -> None:
    def answer(state: State) -> dict[str, Any]:
        return {"messages": [AIMessage(f"answer {len(state['messages'])}")]}

    builder = StateGraph(State)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    with postgres.PostgresSaver.from_conn_string(database) as saver:
        saver.setup()
        graph = builder.compile(checkpointer=saver)
        for thread, said in (("a", "hello"), ("a", "and now?"), ("b", "hi")):
            graph.invoke({"messages": [("user", said)]}, {"configurable": {"thread_id": thread}})
    imported = read_langgraph(database)
    assert [[message.content for message in trial.messages] for trial in imported.trials] == [
        ["hello", "answer 1", "and now?", "answer 3"],
        ["hi", "answer 1"],
    ]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE checkpoint_blobs SET type = 'pickle' WHERE thread_id = 'b'")
    imported = read_langgraph(database)
    assert [trial.conversation_id for trial in imported.trials] == ["a"]
    assert "unpickling runs whatever code it holds" in imported.problems[0].message
    with pytest.raises(UsageError, match="no thread 'c'"):
        read_langgraph(database, threads=["c"])


def test_a_database_without_checkpoints(database: str) -> None:
    with pytest.raises(UsageError, match="expected the table `checkpoints`"):
        read_langgraph(database)
