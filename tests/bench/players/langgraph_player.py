"""The same conversations on a bare LangGraph graph: messages, agent node, tools node, in-memory checkpoints.

This is the floor: it plays and checkpoints, and does nothing else (no grades, no traces, no store).
Defaults everywhere; one `ainvoke` a turn on the conversation's thread, as the documentation shows. The
router is a coroutine, because a plain function would go through a thread pool at every model call.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from players import conversation as talk

_SYSTEM = SystemMessage(talk.SYSTEM)
_MESSAGES_PER_TURN = 4


class Mock:
    """The instant model."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, messages: list[AnyMessage]) -> AIMessage:
        self.calls += 1
        last = messages[-1]
        usage = {
            "input_tokens": talk.INPUT_TOKENS,
            "output_tokens": talk.OUTPUT_TOKENS,
            "total_tokens": talk.INPUT_TOKENS + talk.OUTPUT_TOKENS,
        }
        if isinstance(last, ToolMessage):
            return AIMessage(talk.reply_for(last.tool_call_id), usage_metadata=usage)
        sale_id = talk.sale_for(str(last.content))
        call = {
            "name": talk.TOOL_NAME,
            "args": {talk.TOOL_ARGUMENT: sale_id},
            "id": talk.call_id_for(sale_id),
        }
        return AIMessage("", tool_calls=[call], usage_metadata=usage)


def asked(state: MessagesState) -> list[ToolCall]:
    """The tool calls the model asks for in the last message."""
    last = state["messages"][-1]
    return last.tool_calls if isinstance(last, AIMessage) else []


def build(model: Mock) -> Any:
    """The compiled graph: agent, then tools and back while the model asks for one."""

    async def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model([_SYSTEM, *state["messages"]])]}

    async def tools(state: MessagesState) -> dict[str, Any]:
        return {
            "messages": [
                ToolMessage(json.dumps(talk.sale(**call["args"])), tool_call_id=call["id"], name=call["name"])
                for call in asked(state)
            ]
        }

    async def route(state: MessagesState) -> str:
        return "tools" if asked(state) else END

    builder = StateGraph(MessagesState)
    builder.add_node("agent", agent)
    builder.add_node("tools", tools)
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", route, ["tools", END])
    builder.add_edge("tools", "agent")
    return builder.compile(checkpointer=InMemorySaver())


async def _converse(graph: Any, gate: asyncio.Semaphore) -> None:
    async with gate:
        config = {"configurable": {"thread_id": str(uuid.uuid4())}}
        for turn in talk.TURNS:
            state = await graph.ainvoke({"messages": [HumanMessage(turn.user)]}, config)
    messages = state["messages"]
    if len(messages) != _MESSAGES_PER_TURN * len(talk.TURNS) or messages[-1].content != talk.TURNS[-1].reply:
        raise RuntimeError(f"LangGraph played {len(messages)} messages, the last: {messages[-1].content!r}")


async def _play(conversations: int, concurrency: int) -> int:
    mock = Mock()
    graph = build(mock)
    gate = asyncio.Semaphore(concurrency)
    await asyncio.gather(*(_converse(graph, gate) for _ in range(conversations)))
    return mock.calls


def play(conversations: int, concurrency: int) -> int:
    """Play so many conversations on one graph; returns the number of model calls made."""
    return asyncio.run(_play(conversations, concurrency))
