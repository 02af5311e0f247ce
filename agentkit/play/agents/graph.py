"""The user's own compiled LangGraph graph as an agent.

The graph gets the whole conversation as LangChain messages and runs its own loop. Tools that it took from the factory's
`tools` argument act on the trial's world; its model calls are traced, counted and limited through a callback.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tools import StructuredTool, ToolException
from langgraph.errors import GraphRecursionError

from agentkit.errors import BudgetExhausted
from agentkit.llm import Budget, Prices
from agentkit.llm.prices import known_cost
from agentkit.play.agent import Moment
from agentkit.play.agents.function import CallLog
from agentkit.play.trouble import TurnLimitReached
from agentkit.records import Message, ModelCall, ToolCall, ToolSpec, Usage

_CURRENT: ContextVar[CallLog] = ContextVar("agentkit_moment")
"""The moment in which a tool is called; LangGraph's tasks inherit it."""


def langchain_tools(specs: Mapping[str, ToolSpec]) -> list[StructuredTool]:
    """The world's tools as LangChain tools; each acts on the world of the trial it is called in."""
    return [
        StructuredTool(
            name=spec.name,
            description=spec.description,
            args_schema=dict(spec.parameters),
            coroutine=_executor(spec.name),
            handle_tool_error=True,
        )
        for spec in specs.values()
    ]


def _executor(name: str) -> Callable[..., Awaitable[str]]:
    async def execute(**arguments: Any) -> str:
        log = _CURRENT.get()
        call = ToolCall(f"call-{log.moment.turn}-{len(log.messages)}", name, arguments)
        result = await log.moment.call_tool(call)
        if result.error is not None:
            raise ToolException(result.content)
        return result.content

    return execute


class GraphAgent:
    """Plays a compiled graph whose state has `messages`."""

    def __init__(
        self,
        name: str,
        graph: Any,
        *,
        source: str,
        deterministic: bool,
        recursion_limit: int,
        budget: Budget,
        prices: Prices,
    ) -> None:
        self.name = name
        self.deterministic = deterministic
        self._graph = graph
        self._source = source
        self._limit = recursion_limit
        self._budget = budget
        self._prices = prices

    async def act(self, moment: Moment) -> tuple[Message, ...]:
        log = CallLog(moment)
        calls = _ModelCalls(moment, self._budget, self._prices)
        given = [_to_langchain(message, f"given-{number}") for number, message in enumerate(moment.messages)]
        token = _CURRENT.set(log)
        try:
            state = await self._graph.ainvoke(
                {"messages": given},
                {
                    "recursion_limit": self._limit,
                    "callbacks": [calls],
                    "configurable": {"thread_id": f"{moment.conversation_id}/{moment.turn}"},
                },
            )
        except Exception as error:
            if calls.refused is not None:
                raise calls.refused from None
            if isinstance(error, GraphRecursionError):
                words = f"the graph took more than {self._limit} supersteps in one turn"
                raise TurnLimitReached(words) from None
            raise
        finally:
            _CURRENT.reset(token)
        if calls.refused is not None:
            raise calls.refused
        ids = {message.id for message in given}
        new = [message for message in state["messages"] if message.id not in ids]
        results = _Results(log, new)
        return tuple(_from_langchain(message, moment.turn, results, calls) for message in new)

    def definition(self) -> Mapping[str, Any]:
        return {"kind": "langgraph", "graph": self._source, "recursion_limit": self._limit}

    async def close(self) -> None:
        return None


class _ModelCalls(BaseCallbackHandler):
    """Traces, counts and limits the model calls inside the user's graph.

    Its methods are plain functions: what an asynchronous handler raises in a synchronous node is logged and forgotten,
    and the model called all the same. Synchronous nodes run in threads.
    """

    raise_error = True
    run_inline = True

    def __init__(self, moment: Moment, budget: Budget, prices: Prices) -> None:
        self._moment = moment
        self._budget = budget
        self._prices = prices
        self._open: dict[UUID, tuple[Any, float]] = {}
        self.refused: BudgetExhausted | None = None
        """Why a call was not made, which the graph may have caught."""
        self.by_message: dict[str | None, tuple[str, ModelCall]] = {}
        """Id of an assistant message → the span and the call that produced it."""

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        try:
            self._budget.reserve()
        except BudgetExhausted as error:
            self.refused = error
            raise
        parameters = kwargs.get("invocation_params") or {}
        known = {
            name: parameters[name] for name in ("temperature", "top_p", "max_tokens", "seed") if parameters.get(name)
        }
        span = self._moment.span.chat(
            model=str(parameters.get("model") or parameters.get("model_name") or "unknown"),
            provider=str(parameters.get("_type") or "langchain"),
            request=known,
            messages=[_plain(message, self._moment.turn) for batch in messages for message in batch],
            tools=tuple(self._moment.tools.values()),
        )
        self._open[run_id] = span, time.monotonic()

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        span, began = self._open.pop(run_id)
        generation = response.generations[0][0]
        message = generation.message if isinstance(generation, ChatGeneration) else AIMessage(generation.text)
        call = self._call(message, time.monotonic() - began)
        self._budget.spend(call.usage, call.cost)
        span.finish(_plain(message, self._moment.turn), call)
        self.by_message[message.id] = span.span_id, call
        self._moment.made.append(Message("assistant", "", self._moment.turn, call=call, span_id=span.span_id))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        span, _ = self._open.pop(run_id)
        span.fail(error)

    def _call(self, message: BaseMessage, latency: float) -> ModelCall:
        counted = getattr(message, "usage_metadata", None)
        usage = _usage(counted) if counted else None
        metadata = message.response_metadata
        model = str(metadata.get("model_name") or "unknown")
        cost = known_cost(self._prices.find(model), usage)
        return ModelCall(model, usage or Usage(), cost, latency, finish_reason=metadata.get("finish_reason"))


def _usage(counted: UsageMetadata) -> Usage:
    """What the total holds beyond input and output is output: some providers count reasoning there alone."""
    sent = counted["input_tokens"]
    return Usage(sent, max(counted["output_tokens"], counted["total_tokens"] - sent))


def _to_langchain(message: Message, message_id: str) -> AnyMessage:
    if message.role == "assistant":
        calls = [{"id": c.id, "name": c.name, "args": dict(c.arguments or {})} for c in message.tool_calls]
        return AIMessage(message.content, tool_calls=calls, id=message_id)
    if message.role == "tool":
        return ToolMessage(message.content, tool_call_id=message.tool_call_id or "", name=message.name, id=message_id)
    if message.role == "system":
        return SystemMessage(message.content, id=message_id)
    return HumanMessage(message.content, id=message_id)


class _Results:
    """What the trial's world answered in one move, to be found by the graph's own messages; each is taken once."""

    def __init__(self, log: CallLog, messages: Sequence[BaseMessage]) -> None:
        self._left = [
            (asked.tool_calls[0], result) for asked, result in zip(log.messages[::2], log.messages[1::2], strict=True)
        ]
        self._asked = {
            call["id"]: call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls
        }

    def take(self, message: ToolMessage) -> Message | None:
        """The result that a tool message shows: the same tool's, with the same text or for the same arguments, best
        both. None where its tool was not one of the world's."""
        asked = self._asked.get(message.tool_call_id)
        name = message.name or (asked["name"] if asked else None)
        alike = [
            (2 * (result.content == message.text) + (asked is not None and call.arguments == asked["args"]), -place)
            for place, (call, result) in enumerate(self._left)
            if result.name == name
        ]
        likeness, place = max(alike, default=(0, 0))
        return self._left.pop(-place)[1] if likeness else None


def _from_langchain(message: BaseMessage, turn: int, results: _Results, calls: _ModelCalls) -> Message:
    """The record of a new message. A tool's result is the one that this trial's world gave, if it did, in the words
    that the graph's model was shown."""
    if isinstance(message, ToolMessage):
        plain = _plain(message, turn)
        own = results.take(message)
        if own is None:
            return replace(plain, error="ToolException" if message.status == "error" else None)
        return replace(own, content=plain.content, turn=turn, tool_call_id=plain.tool_call_id)
    span_id, call = calls.by_message.get(message.id, (None, None))
    return replace(_plain(message, turn), call=call, span_id=span_id)


def _plain(message: BaseMessage, turn: int) -> Message:
    roles = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
    asked: Sequence[Any] = getattr(message, "tool_calls", ())
    return Message(
        roles.get(message.type, message.type),
        str(message.text),
        turn,
        tool_calls=tuple(ToolCall(str(call["id"]), call["name"], call["args"]) for call in asked),
        tool_call_id=getattr(message, "tool_call_id", None),
        name=message.name if isinstance(message, ToolMessage) else None,
    )
