"""A compiled LangGraph graph as a user would write it, over a chat model that plays by rules."""

from __future__ import annotations

import re
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


class Rules(BaseChatModel):
    """Looks up, ships when asked to, and repeats what the tool said."""

    counted: bool = True
    """Whether its answers tell how many tokens they took."""
    twice: bool = False
    """Whether it makes each call twice, side by side."""
    thought: int = 0
    """Tokens of an answer that are in its total alone."""

    @property
    def _llm_type(self) -> str:
        return "rules"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        last = str(messages[-1].content)
        order = re.search(r"A-\d{4}", " ".join(str(m.content) for m in messages))
        calls = []
        if messages[-1].type == "human" and order and "Thank" not in last:
            name = "ship" if "Ship" in last else "look_up"
            ids = [f"c{len(messages)}", f"d{len(messages)}"][: 1 + self.twice]
            calls = [{"id": id_, "name": name, "args": {"order_id": order.group()}} for id_ in ids]
        usage = UsageMetadata(input_tokens=10, output_tokens=5, total_tokens=15 + self.thought)
        answer = AIMessage(
            "" if calls else f"I see: {last}. Anything else?",
            tool_calls=calls,
            usage_metadata=usage if self.counted else None,
            response_metadata={"model_name": "rules-1"},
        )
        return ChatResult(generations=[ChatGeneration(message=answer)])


def build(tools: list[Any]) -> Any:
    """The usual loop: a model, its tools, back to the model."""
    return loop(Rules(), tools)


def uncounted(tools: list[Any]) -> Any:
    return loop(Rules(counted=False), tools)


def twice(tools: list[Any]) -> Any:
    return loop(Rules(twice=True), tools)


def thoughtful(tools: list[Any]) -> Any:
    return loop(Rules(thought=100), tools)


def loop(model: Rules, tools: list[Any]) -> Any:
    async def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return looped(think, ToolNode(tools))


def synchronous(tools: list[Any]) -> Any:
    model = Rules()

    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    return looped(think, ToolNode(tools))


def forgiving(tools: list[Any]) -> Any:
    """A synchronous node that makes the best of whatever its model raises."""
    model = Rules()

    def think(state: MessagesState) -> dict[str, Any]:
        try:
            return {"messages": [model.invoke(state["messages"])]}
        except Exception:
            return {"messages": [AIMessage("Sorry, not now.")]}

    return looped(think, ToolNode(tools))


def brief(tools: list[Any]) -> Any:
    """Shows its model the beginning of what a tool says, without the tool's name."""
    model, by_name = Rules(), {tool.name: tool for tool in tools}

    async def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    async def act(state: MessagesState) -> dict[str, Any]:
        asked = state["messages"][-1]
        assert isinstance(asked, AIMessage)
        (call,) = asked.tool_calls
        said = await by_name[call["name"]].ainvoke(call["args"])
        return {"messages": [ToolMessage(said[:12], tool_call_id=call["id"])]}

    return looped(think, act)


def looped(think: Any, act: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", act)
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    return graph.compile()


def broken(policy: str) -> Any:
    raise RuntimeError(f"no graph for {policy}")


def no_graph() -> str:
    return "a graph"
