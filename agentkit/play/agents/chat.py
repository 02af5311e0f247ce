"""A chat model behind an OpenAI-compatible endpoint, with a system prompt and the world's tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from agentkit.config import Sampling
from agentkit.llm import ChatModel, ChatRequest, ChatResponse
from agentkit.play.agent import Moment
from agentkit.play.agents.guided import guided_messages, read_guided, response_format
from agentkit.records import Message, ToolSpec

_TRACED = ("temperature", "top_p", "max_tokens", "seed")


@lru_cache(maxsize=64)
def _system(text: str) -> Message:
    """One message for equal texts: whoever keeps something by message finds it again."""
    return Message("system", text, turn=-1)


@dataclass(frozen=True, slots=True)
class ChatAgent:
    """One model call a move. `system` overrides the suite's policy."""

    name: str
    model: ChatModel
    sampling: Sampling
    system: str | None = None
    guided: bool = False
    """As long as tools are offered, every answer is constrained to a JSON object: a tool call, or a reply."""
    calls_per_turn: int | None = None
    """After so many rounds of tool calls in a turn no tools are offered, so that words must follow."""
    weights: str | None = None
    """Hash of the base model, where it is served here."""
    computing: Mapping[str, str] = field(default_factory=dict)
    """How its server computes, where it is one of ours. Recorded with a run's versions, and no part of the definition:
    another precision is another machine, not another agent."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Adapters in the model's weights: name → hash of what is in each."""

    @property
    def deterministic(self) -> bool:
        return self.sampling.temperature == 0

    async def act(self, moment: Moment) -> tuple[Message, ...]:
        request = self.request(
            moment.messages, turn=moment.turn, tools=moment.tools, policy=moment.policy, seed=moment.seed
        )
        span = moment.span.chat(
            model=self.model.name,
            provider=self.model.provider,
            request={name: value for name in _TRACED if (value := getattr(request, name)) is not None},
            messages=request.messages,
            tools=request.tools,
        )
        try:
            response = await self.model.complete(
                replace(request, traceparent=span.traceparent, conversation=moment.conversation_id)
            )
        except BaseException as error:
            span.fail(error)
            raise
        message = replace(self._message(response, moment), span_id=span.span_id)
        span.finish(message, response.call)
        return (message,)

    def request(
        self, messages: Sequence[Message], *, turn: int, tools: Mapping[str, ToolSpec], policy: str, seed: int
    ) -> ChatRequest:
        """What the model is asked for the next move, after `messages`, in a turn (index from 0)."""
        made = sum(bool(m.tool_calls) for m in messages if m.turn == turn)
        may_call = self.calls_per_turn is None or made < self.calls_per_turn
        offered = tuple(tools.values()) if may_call else ()
        system = policy if self.system is None else self.system
        if self.guided:
            messages = guided_messages(system, messages, offered)
        elif system:
            messages = (_system(system), *messages)
        return ChatRequest(
            messages=tuple(messages),
            tools=() if self.guided else offered,
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            max_tokens=self.sampling.max_tokens,
            seed=None if self.deterministic else seed,
            response_format=response_format(offered) if self.guided and offered else None,
            extra_body=self.sampling.extra_body,
        )

    def _message(self, response: ChatResponse, moment: Moment) -> Message:
        content, calls = response.content, response.tool_calls
        if self.guided:
            content, calls = read_guided(content, f"call-{moment.turn}-{len(moment.messages)}")
        return Message(
            "assistant", content, moment.turn, tool_calls=calls, reasoning=response.reasoning, call=response.call
        )

    def definition(self) -> Mapping[str, Any]:
        return {
            "kind": "chat",
            "model": self.model.name,
            "provider": self.model.provider,
            "sampling": self.sampling.model_dump(mode="json", include=set(Sampling.model_fields)),
            "system": self.system,
            "guided": self.guided,
            "calls_per_turn": self.calls_per_turn,
            **({} if self.weights is None else {"weights": self.weights}),
            **({"adapters": dict(self.adapters)} if self.adapters else {}),
        }

    async def close(self) -> None:
        await self.model.close()
