"""A chat model behind an OpenAI-compatible endpoint, with a system prompt and the world's tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentkit.config import Sampling
from agentkit.llm import ChatModel, ChatRequest, ChatResponse
from agentkit.play.agent import Moment
from agentkit.play.agents.guided import guided_instructions, guided_messages, read_guided, response_format
from agentkit.records import Message, ToolSpec


@dataclass(frozen=True, slots=True)
class ChatAgent:
    """One model call a move. `system` overrides the suite's policy."""

    name: str
    model: ChatModel
    sampling: Sampling
    system: str | None = None
    guided: bool = False
    """Every answer is constrained to a JSON object: a tool call, or a reply."""

    @property
    def deterministic(self) -> bool:
        return self.sampling.temperature == 0

    async def act(self, moment: Moment) -> tuple[Message, ...]:
        tools = tuple(moment.tools.values())
        messages = self._prompt(moment, tools)
        request = self._request(moment, messages, tools)
        span = moment.span.chat(
            model=self.model.name,
            provider=self.model.provider,
            request=self._traced_settings(request),
            messages=messages,
            tools=tools,
        )
        try:
            response = await self.model.complete(replace(request, traceparent=span.traceparent))
        except BaseException as error:
            span.fail(error)
            raise
        message = replace(self._message(response, moment), span_id=span.span_id)
        span.finish(message, response.call)
        return (message,)

    def _prompt(self, moment: Moment, tools: Sequence[ToolSpec]) -> tuple[Message, ...]:
        system = moment.policy if self.system is None else self.system
        messages = moment.messages
        if self.guided:
            system, messages = guided_instructions(system, tools), guided_messages(messages)
        return (Message("system", system, turn=-1), *messages) if system else messages

    def _request(self, moment: Moment, messages: tuple[Message, ...], tools: tuple[ToolSpec, ...]) -> ChatRequest:
        sampling = self.sampling
        return ChatRequest(
            messages=messages,
            tools=() if self.guided else tools,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=None if self.deterministic else moment.seed,
            response_format=response_format(tools) if self.guided else None,
            extra_body=sampling.extra_body,
        )

    def _message(self, response: ChatResponse, moment: Moment) -> Message:
        content, calls = response.content, response.tool_calls
        if self.guided:
            content, calls = read_guided(content, f"call-{moment.turn}-{len(moment.messages)}")
        return Message(
            "assistant", content, moment.turn, tool_calls=calls, reasoning=response.reasoning, call=response.call
        )

    @staticmethod
    def _traced_settings(request: ChatRequest) -> Mapping[str, Any]:
        names = ("temperature", "top_p", "max_tokens", "seed")
        return {name: value for name in names if (value := getattr(request, name)) is not None}

    def definition(self) -> Mapping[str, Any]:
        return {
            "kind": "chat",
            "model": self.model.name,
            "provider": self.model.provider,
            "sampling": self.sampling.model_dump(mode="json", include=set(Sampling.model_fields)),
            "system": self.system,
            "guided": self.guided,
        }

    async def close(self) -> None:
        await self.model.close()
