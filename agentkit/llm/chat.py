"""What is asked of a chat model and what comes back, whoever serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentkit.records import Message, ModelCall, ToolCall, ToolSpec


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model. What is None is left out, so that the server's default holds."""

    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    """Longest answer, in tokens."""
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    tool_choice: str | None = None
    """`auto`, `none`, `required`, or the name of the tool that must be called."""
    response_format: Mapping[str, Any] | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the request, as the server names them; they win over the fields above."""
    traceparent: str | None = None
    """W3C trace context of the span that asks; sent as a header."""
    conversation: str | None = None
    """Id of the conversation that it belongs to, by which a router keeps what answers it; sent as a header."""


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """One answer of a model. Both `content` and `tool_calls` may be empty: models do answer nothing."""

    content: str
    call: ModelCall
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None
    """What the model showed of its thoughts, where it shows any."""


class ChatModel(Protocol):
    """Anything that answers a `ChatRequest`."""

    @property
    def name(self) -> str:
        """The model, as the server knows it."""

    @property
    def provider(self) -> str:
        """Value of `gen_ai.provider.name`, such as `openai`."""

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Ask once.

        Raises ProviderError where the endpoint failed and outlasted the retries, and BudgetExhausted where a
        hard limit forbids asking.
        """

    async def close(self) -> None:
        """Give connections back; the model cannot be asked again."""
