"""Traffic to measure with: prompts, and the answers that were given to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import orjson

from agentkit.config import ChatAgent as ChatSettings
from agentkit.config import Config, Sampling
from agentkit.errors import AgentkitError
from agentkit.llm import ChatRequest, ChatResponse
from agentkit.llm.wire import encode
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.forks.golden import golden_plays
from agentkit.records import GOLDEN, Exchange, Message, TargetKind
from agentkit.scenario import Loaded
from agentkit.serve.command import SEPARATORS
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
    """The newest exchanges that servers of the model answered, at most so many, in the order in which they came: so a
    server has as much of each prompt in its cache as it had then."""
    answered = [sample for it in store.exchanges(limit=4 * count) if (sample := _sample(it))]
    return tuple(answered[-count:])


def _sample(exchange: Exchange) -> Sample | None:
    if exchange.status != 200 or exchange.target.kind is TargetKind.UPSTREAM:
        return None
    text = written(exchange.response or {})
    request = {name: exchange.request[name] for name in _PROMPT if exchange.request.get(name)}
    return Sample(request, text) if text and "messages" in request else None


def written(message: Mapping[str, Any]) -> str:
    """An assistant's message as the model wrote it: its words, and its calls in the tags that the server reads. Empty
    where a call was cut off, or is none of a function."""
    try:
        calls = [_call(it) for it in message.get("tool_calls") or ()]
    except (KeyError, TypeError, ValueError):
        return ""
    return "\n".join(part for part in (str(message.get("content") or ""), *calls) if part)


def _call(call: Mapping[str, Any]) -> str:
    function = call["function"]
    arguments = function["arguments"]
    arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    made = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{made}\n</tool_call>"


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
    tools: the moments at which a call is due, whole conversations one after the other until there are so many moments.
    Suites take turns.

    Equal scenarios give equal traffic.
    """
    suites: dict[object, list[Loaded]] = {}
    for loaded in scenarios:
        if loaded.tools:
            suites.setdefault(loaded.suite.folder, []).append(loaded)
    found: list[Sample] = []
    async with golden_plays(scenarios) as plays:
        for seed in range(1, 1 + count):
            for loaded in _in_turns(suites.values()):
                if len(found) >= count:
                    break
                history = await plays.of(loaded, GOLDEN, seed)
                found += _calls(loaded, agent, history.messages)
    return tuple(found[:count])


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
    action = {"action": call.name, "arguments": dict(call.arguments or {})}
    return json.dumps(action, ensure_ascii=False, separators=SEPARATORS)


def _in_turns(groups: Iterable[Sequence[Loaded]]) -> Iterable[Loaded]:
    for row in zip_longest(*groups):
        yield from (it for it in row if it is not None)
