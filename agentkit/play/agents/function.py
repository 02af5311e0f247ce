"""An asynchronous Python callable as an agent."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentkit.llm import Budget
from agentkit.play.agent import Moment
from agentkit.records import Message, ModelCall, ToolCall

Answer = str | Message | tuple[Message, ...]
Function = Callable[[Moment], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class FunctionAgent:
    """Calls `function` with the moment.

    It returns the answer's text, or a message (with tool calls that are to be executed), or several messages. It may
    also execute calls by itself with `await moment.call_tool(ToolCall(...))`; those are recorded as they happen.

    What happens inside it cannot be seen: being asked counts as one model call whose tokens and cost are not known,
    unless its messages tell of their model calls themselves (`Message.call`).
    """

    name: str
    function: Function
    deterministic: bool = False
    source: str = ""
    """Where the function comes from, and what tells its versions apart: `module:name@hash`."""
    budget: Budget | None = None
    """Counts each call of the function."""

    async def act(self, moment: Moment) -> tuple[Message, ...]:
        if self.budget is not None:
            self.budget.reserve()
        log, began = CallLog(moment), time.monotonic()
        try:
            answer = await self.function(log.moment)
        except BaseException:
            moment.made[:] = _called(tuple(moment.made), ModelCall(self.name, latency=time.monotonic() - began))
            raise
        if isinstance(answer, str):
            answer = Message("assistant", answer, moment.turn)
        if isinstance(answer, Message):
            answer = (answer,)
        if not isinstance(answer, tuple) or not all(isinstance(message, Message) for message in answer):
            raise TypeError(f"expected a text, a Message or a tuple of them, found {type(answer).__name__}")
        messages = (*log.messages, *answer)
        if all(message.call is None for message in messages):
            messages = _called(messages, ModelCall(self.name, latency=time.monotonic() - began))
        if self.budget is not None:
            for call in (message.call for message in messages if message.call is not None):
                self.budget.spend(call.usage, call.cost)
        return messages

    def definition(self) -> Mapping[str, Any]:
        return {"kind": "function", "function": self.source or repr(self.function)}

    async def close(self) -> None:
        return None


def _called(messages: tuple[Message, ...], call: ModelCall) -> tuple[Message, ...]:
    """The messages, with `call` behind the agent's last one."""
    last = max((place for place, message in enumerate(messages) if message.role == "assistant"), default=None)
    return tuple(replace(message, call=call) if place == last else message for place, message in enumerate(messages))


class CallLog:
    """A moment whose tool calls are kept as messages, for agents that drive their own tools."""

    def __init__(self, moment: Moment) -> None:
        self.messages: list[Message] = []
        self._execute = moment.call_tool
        self.moment = replace(moment, call_tool=self._call)

    async def _call(self, call: ToolCall) -> Message:
        result = await self._execute(call)
        call = replace(call, id=result.tool_call_id or call.id)
        self.messages += [Message("assistant", "", result.turn, tool_calls=(call,)), result]
        return result
