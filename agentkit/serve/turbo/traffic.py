"""Traffic to measure with: prompts, and the answers that were given to them."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from agentkit.config import ChatAgent as ChatSettings
from agentkit.config import Config, Sampling
from agentkit.errors import AgentkitError
from agentkit.llm import ChatRequest, ChatResponse
from agentkit.llm.wire import encode
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.conversation import build_conversation
from agentkit.play.forks.golden import Histories
from agentkit.records import GOLDEN, Exchange, Message
from agentkit.scenario import Loaded
from agentkit.store import Store

_PROMPT = ("messages", "tools")
"""Members of a request of which its prompt is made."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request and its answer."""

    request: Mapping[str, Any]
    """`messages`, and `tools` where there are any."""
    answer: str
    """As the model wrote it, calls included."""


def traffic_hash(samples: Sequence[Sample]) -> str:
    """SHA-256 of the traffic, 64 hexadecimal digits."""
    plain = [[dict(it.request), it.answer] for it in samples]
    return hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


def recorded_traffic(store: Store, count: int) -> tuple[Sample, ...]:
    """The newest exchanges that were answered, at most so many; conversations take turns, the newest first."""
    answered = (it for it in reversed(store.exchanges(limit=8 * count)) if it.status == 200)
    by_conversation: dict[str, list[Sample]] = {}
    for exchange in answered:
        if sample := _sample(exchange):
            by_conversation.setdefault(exchange.conversation, []).append(sample)
    return tuple(islice(_in_turns(by_conversation.values()), count))


def _sample(exchange: Exchange) -> Sample | None:
    text = written(exchange.response or {})
    request = {name: exchange.request[name] for name in _PROMPT if exchange.request.get(name)}
    return Sample(request, text) if text and "messages" in request else None


def written(message: Mapping[str, Any]) -> str:
    """An assistant's message as the model wrote it: its words, and its calls in the tags that the server reads."""
    parts = [str(message.get("content") or "")]
    for call in message.get("tool_calls") or ():
        function = call["function"]
        arguments = function["arguments"]
        try:
            arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
        except ValueError:
            return ""  # cut off
        made = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
        parts.append(f"<tool_call>\n{made}\n</tool_call>")
    return "\n".join(part for part in parts if part)


def asking(config: Config) -> ChatAgent:
    """The chat agent of the configuration whose model is served here, the first of them; else a plain one. It can only
    say what it would ask."""
    for name, settings in config.agents.items():
        if isinstance(settings, ChatSettings) and settings.engine:
            guided, system = settings.guided, settings.system
            return ChatAgent(name, _Never(name), Sampling(), system, guided, settings.calls_per_turn)
    return ChatAgent("agent", _Never("agent"), Sampling())


@dataclass(frozen=True, slots=True)
class _Never:
    """A model that is not asked."""

    name: str
    provider: str = "vllm"

    async def complete(self, request: ChatRequest) -> ChatResponse:
        raise AgentkitError(f"{self.name} is not there to be asked: requests are only written down here")

    async def close(self) -> None:
        return None


async def golden_traffic(scenarios: Sequence[Loaded], agent: ChatAgent, count: int) -> tuple[Sample, ...]:
    """What the agent would be asked, and what it should answer, in the golden conversations of scenarios that have
    tools: the moments at which a call is due, at most so many; scenarios take turns.

    Equal scenarios give equal traffic.
    """
    found: dict[str, list[Sample]] = {}
    histories = Histories(build_conversation())
    try:
        for loaded in scenarios:
            if loaded.tools:
                for seed in range(1, 1 + -(-count // len(scenarios))):
                    history = await histories.of(loaded, GOLDEN, seed)
                    found.setdefault(loaded.id, []).extend(_calls(loaded, agent, history.messages))
    finally:
        await histories.close()
        for loaded in scenarios:
            if loaded.suite.world is not None:
                await loaded.suite.world.close()
    for samples in found.values():
        random.Random(0).shuffle(samples)  # the calls of an early turn are not those of a late one
    return tuple(islice(_in_turns(found.values()), count))


def _calls(loaded: Loaded, agent: ChatAgent, messages: Sequence[Message]) -> Iterable[Sample]:
    for place, message in enumerate(messages):
        if message.role == "assistant" and message.tool_calls:
            asked = agent.request(
                messages[:place], turn=message.turn, tools=dict(loaded.tools), policy=loaded.suite.policy, seed=0
            )
            body = encode(asked, "")
            answer = _guided(message) if agent.guided else written(_plain(message))
            yield Sample({name: body[name] for name in _PROMPT if name in body}, answer)


def _plain(message: Message) -> Mapping[str, Any]:
    calls = [{"function": {"name": it.name, "arguments": dict(it.arguments or {})}} for it in message.tool_calls]
    return {"content": message.content, "tool_calls": calls}


def _guided(message: Message) -> str:
    call = message.tool_calls[0]
    return json.dumps({"action": call.name, "arguments": dict(call.arguments or {})}, ensure_ascii=False)


def _in_turns(groups: Iterable[Sequence[Sample]]) -> Iterable[Sample]:
    lists = [list(group) for group in groups]
    for place in range(max(map(len, lists), default=0)):
        yield from (group[place] for group in lists if place < len(group))
