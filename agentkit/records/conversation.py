"""Messages, and what is known of the requests behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as an agent sees it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments, an object."""
    writes: bool = True
    """Whether a call may change the world."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that an agent asked for."""

    id: str
    name: str
    arguments: Mapping[str, Any] | None
    """None where the model's text was not a JSON object; `raw` then holds what it said."""
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cached_tokens + other.cached_tokens,
        )

    @property
    def total(self) -> int:
        """Input and output; reasoning and cached tokens are parts of those."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What is known of the request that produced an assistant message."""

    model: str
    usage: Usage = Usage()
    cost: float | None = None
    """US dollars; None where no price is known, which is not zero."""
    latency: float = 0.0
    """Seconds from request to the whole response, retries included."""
    attempts: int = 1
    finish_reason: str | None = None
    response_id: str | None = None
    failures: tuple[str, ...] | None = None
    """Kinds of the attempts that failed before (`rate_limit`, `server`, `timeout` ...), in order; None where another
    client than ours asked, so that nothing is known of them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    """`system`, `user`, `assistant` or `tool`."""
    content: str
    turn: int = 0
    """Index of the turn it belongs to, from 0; -1 for the system prompt."""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    """Of a tool message: the tool."""
    error: str | None = None
    """Of a tool message: the qualified name of the exception the tool raised."""
    reasoning: str | None = None
    call: ModelCall | None = None
    span_id: str | None = None
    """16 hexadecimal digits: the `chat` or `execute_tool` span that produced it."""
    duration: float | None = None
    """Of a tool message: seconds that the call took."""
    planted: str | None = None
    """Id of the detour (`tool:timeout`, `model:refusal`) that disturbed this answer of a tool or a model."""
    original: str | None = None
    """What the tool or model would have said undisturbed, where a detour put `content` in its place; equal to `content`
    where a detour looked and found nothing to change."""
