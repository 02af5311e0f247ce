"""A user played by a model: it phrases what each turn means, is held against the checks, and repeats itself exactly.

Every answer is recorded under the whole request: model, messages, sampling, seed, scenario and instance. The same
moment played again, by another agent that said the same, on resume or in another run, gets the same words without a
call.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from agentkit.config import LlmUser as Settings
from agentkit.config import Sampling
from agentkit.errors import ProviderError
from agentkit.grade.text import shortened
from agentkit.llm import ChatModel, ChatRequest, ChatResponse
from agentkit.play.user import Cue, NotRecorded, UserFault
from agentkit.play.users.checks import CHECKS, first_fault
from agentkit.play.users.instructions import INSTRUCTIONS
from agentkit.play.users.prompt import again, prompt, texts, tidied
from agentkit.play.users.reply import Reply, longest
from agentkit.records import Message, ToolCall
from agentkit.scenario.streams import derive

VERSION = 1
"""Of how words are asked for and checked; a new one makes new recordings."""
_RECORDED = 20_001
"""Characters that are recorded of an answer: one more than `max_characters` may ever allow, so that a recording is as
good under another limit."""
_TRACED = ("temperature", "top_p", "max_tokens", "seed")


class Recordings(Protocol):
    """Where answers are kept, by request; the store is one."""

    def cache_get(self, key: str) -> str | None: ...

    def cache_put(self, key: str, value: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, as far as it matters."""

    text: str
    calls: tuple[str, ...] = ()
    """Names of the tools that it wanted to call."""
    span_id: str | None = None
    """None where it was recorded before."""


@dataclass(frozen=True, slots=True)
class LlmUser:
    """One model call for each turn's words, and one for each new try after a check refused them.

    With `replay`, only recorded answers are given, and the model is never asked.
    """

    name: str
    model: ChatModel
    settings: Settings
    recordings: Recordings
    replay: bool = False

    async def say(self, cue: Cue) -> Message:
        messages = prompt(cue)
        for attempt in range(self.settings.tries + 1):
            answer = await self._answer(cue, messages, attempt)
            text = tidied(answer.text)
            calls = [ToolCall("", name, None) for name in answer.calls]
            fault = first_fault(Reply(text, calls, cue, self.settings))
            if fault is None:
                return Message("user", text, turn=cue.index, span_id=answer.span_id)
            messages = (*messages, *again(answer.text, fault))
        times = f"after {self.settings.tries + 1} tries" if self.settings.tries else "at the first try"
        raise UserFault(f"the simulated user {self.name}, in turn {cue.turn.id} {times}: {fault}: {_shown(text)}")

    async def _answer(self, cue: Cue, messages: Sequence[Message], attempt: int) -> Answer:
        """The recorded answer to a request, else the model's, which is then recorded."""
        sampling = self.settings
        request = ChatRequest(
            messages=messages,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=None
            if sampling.temperature == 0
            else derive(cue.instance.seed, "user", cue.turn.id, str(attempt)) >> 33,
            extra_body=sampling.extra_body,
        )
        key = self._key(cue, request)
        kept = await asyncio.to_thread(self.recordings.cache_get, key)
        enough = longest(cue, self.settings) + 1  # one more than may be said tells that it is too long
        if kept is not None:
            return _read(kept, enough)
        if self.replay:
            raise NotRecorded(
                f"{cue.instance.scenario}/{cue.instance.variant}, instance {cue.instance.seed}, turn {cue.turn.id}: "
                f"nothing is recorded of what the user {self.name} says here (the agent said something else, or it was "
                "never played); leave --replay-users out to ask the model"
            )
        response, span_id = await self._ask(cue, request)
        text = response.content[: max(_RECORDED, enough)]
        value = json.dumps({"text": text, "calls": [call.name for call in response.tool_calls]})
        await asyncio.to_thread(self.recordings.cache_put, key, value)
        first = await asyncio.to_thread(self.recordings.cache_get, key)  # the same moment, played at the same time
        return replace(_read(first or value, enough), span_id=span_id)

    async def _ask(self, cue: Cue, request: ChatRequest) -> tuple[ChatResponse, str | None]:
        """One call. Its time is limited as a whole, whatever the retries and the endpoint's queue want."""
        span = cue.span.user_chat(
            user=self.name,
            turn=cue.index,
            model=self.model.name,
            provider=self.model.provider,
            request={name: value for name in _TRACED if (value := getattr(request, name)) is not None},
            messages=request.messages,
        )
        limit = self.settings.timeout + self.settings.retry_for
        try:
            async with asyncio.timeout(limit):
                response = await self.model.complete(replace(request, traceparent=span.traceparent))
        except TimeoutError:
            error = ProviderError("timeout", f"{self.model.name}: no answer within {limit:g} s")
            span.fail(error)
            raise error from None
        except BaseException as error:
            span.fail(error)
            raise
        span.finish(Message("assistant", response.content, tool_calls=response.tool_calls, call=response.call))
        return response, span.span_id

    def _key(self, cue: Cue, request: ChatRequest) -> str:
        """Of everything that decides an answer."""
        said = [VERSION, self.model.provider, self.model.name, texts(request.messages), self._sampling(), request.seed]
        body = json.dumps([*said, cue.instance.scenario, cue.instance.seed], sort_keys=True)
        return "user:" + hashlib.sha256(body.encode()).hexdigest()

    def _sampling(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json", include=set(Sampling.model_fields))

    def definition(self) -> Mapping[str, Any]:
        return {
            "kind": "llm",
            "version": VERSION,
            "model": self.model.name,
            "provider": self.model.provider,
            "sampling": self._sampling(),
            "instructions": INSTRUCTIONS,
            "checks": [check.__name__ for check in CHECKS],
            "tries": self.settings.tries,
            "max_characters": self.settings.max_characters,
            "names": self.settings.names,
        }

    async def close(self) -> None:
        await self.model.close()


def _read(kept: str, enough: int) -> Answer:
    value = json.loads(kept)
    return Answer(value["text"][:enough], tuple(value["calls"]))


def _shown(text: str) -> str:
    return repr(shortened(text, 200))
