"""An asynchronous Python callable as an agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentkit.llm import Budget
from agentkit.play.agent import Moment
from agentkit.records import Message, ToolCall

Answer = str | Message | tuple[Message, ...]
Function = Callable[[Moment], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class FunctionAgent:
    """Calls `function` with the moment.

    It returns the answer's text, or a message (with tool calls that are to be executed), or several messages. It may
    also execute calls by itself with `await moment.call_tool(ToolCall(...))`; those are recorded as they happen.
    """

    name: str
    function: Function
    deterministic: bool = False
    source: str = ""
    """Where the function comes from, and what tells its versions apart: `module:name@hash`."""
    budget: Budget | None = None
    """Counts each call of the function, since what happens inside it cannot be seen."""

    async def act(self, moment: Moment) -> tuple[Message, ...]:
        if self.budget is not None:
            self.budget.reserve()
        log = CallLog(moment)
        answer = await self.function(log.moment)
        if isinstance(answer, str):
            answer = Message("assistant", answer, moment.turn)
        if isinstance(answer, Message):
            answer = (answer,)
        if not isinstance(answer, tuple) or not all(isinstance(message, Message) for message in answer):
            raise TypeError(f"expected a text, a Message or a tuple of them, found {type(answer).__name__}")
        return (*log.messages, *answer)

    def definition(self) -> Mapping[str, Any]:
        return {"kind": "function", "function": self.source or repr(self.function)}

    async def close(self) -> None:
        return None


class CallLog:
    """A moment whose tool calls are kept as messages, for agents that drive their own tools."""

    def __init__(self, moment: Moment) -> None:
        self.messages: list[Message] = []
        self._execute = moment.call_tool
        self.moment = replace(moment, call_tool=self._call)

    async def _call(self, call: ToolCall) -> Message:
        result = await self._execute(call)
        self.messages += [Message("assistant", "", result.turn, tool_calls=(call,)), result]
        return result
