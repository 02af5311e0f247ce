"""A chat model inside the process, for tests, benchmarks and agents written without a model at hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable

from agentkit.llm.budget import Budget
from agentkit.llm.chat import ChatRequest, ChatResponse
from agentkit.records import ModelCall, ToolCall

Answer = str | ToolCall | Sequence[ToolCall] | ChatResponse | Exception


class FakeChat:
    """Answers what `answer` returns: a text, tool calls, a whole response, or an exception, which is raised.

    It costs nothing and counts no tokens, unless `answer` returns a `ChatResponse` that says otherwise.
    """

    provider = "fake"

    def __init__(
        self,
        answer: Callable[[ChatRequest], Answer | Awaitable[Answer]],
        *,
        name: str = "fake",
        budget: Budget | None = None,
    ) -> None:
        self.name = name
        self._answer = answer
        self._budget = budget
        self._call = ModelCall(model=name, cost=0.0)

    async def complete(self, request: ChatRequest) -> ChatResponse:
        if self._budget is not None:
            self._budget.reserve()
        answer = self._answer(request)
        if isawaitable(answer):
            answer = await answer
        if isinstance(answer, str):
            response = ChatResponse(answer, self._call)
        elif isinstance(answer, ToolCall):
            response = ChatResponse("", self._call, (answer,))
        elif isinstance(answer, ChatResponse):
            response = answer
        elif isinstance(answer, Exception):
            raise answer
        else:
            response = ChatResponse("", self._call, tuple(answer))
        if self._budget is not None:
            self._budget.spend(response.call.usage, response.call.cost)
        return response

    async def close(self) -> None:
        """Nothing to give back."""
