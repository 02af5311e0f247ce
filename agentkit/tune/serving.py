"""What a job asks of the served model: answers at its prompts, its token ids, and whole conversations."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from agentkit.config import Config
from agentkit.errors import AgentkitError, UsageError
from agentkit.llm import Budget
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.plan import Planned
from agentkit.play.session import (
    RunSettings,
    Session,
    find_played,
    new_session,
    play_session,
    recorded_settings,
    resume_session,
)
from agentkit.records import Run, ToolCall, TrialKey
from agentkit.scenario import Loaded
from agentkit.scenario.streams import derive
from agentkit.serve import Endpoint
from agentkit.serve.players import players
from agentkit.store import Store
from agentkit.tune.general import GeneralAnswer, ask
from agentkit.tune.prompt import Prompt
from agentkit.tune.split import HeldOut

_AT_ONCE = 16
"""Requests under way."""
_WRITTEN = 2
"""Actions of a guided agent that are looked at for how they are written."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)', re.DOTALL)
"""In JSON, which may be cut off."""


@dataclass(frozen=True, slots=True)
class Hall:
    """Where a job plays: the store, the scenarios, the agent's settings, and the server that is up."""

    store: Store
    scenarios: Sequence[Loaded]
    config: Config
    served: Endpoint
    traces: Path
    concurrency: int
    tell: Callable[[str], None]

    def play(
        self, settings: RunSettings, held_out: Sequence[HeldOut], resume: str | None, opened: Callable[[Run], None]
    ) -> Run:
        """Play every held-out conversation. `opened` is told of the run before its first trial; `resume` names one that
        was begun before. Where all of them were played already, by another job, that run is given."""
        planned = tuple(
            Planned(place, TrialKey(it.scenario, it.variant, it.instance)) for place, it in enumerate(held_out)
        )
        budget = Budget()
        with self._cast(settings, budget) as (agent, judge, users, _), asyncio.Runner() as runner:
            if resume is None:
                session = new_session(settings, self.scenarios, agent, self.store, planned, users)
                if (known := find_played(session)) is not None:
                    self.tell(f"{known.agent}: all {known.planned} conversations were played before, in run {known.id}")
                    runner.run(agent.close())
                    runner.run(users.close())
                    return known
                self.store.create_run(session.run)
                opened(session.run)
            else:
                session = resume_session(
                    self.store.run(resume), self.scenarios, agent, self.store, planned, users=users
                )
            return runner.run(
                play_session(
                    session,
                    agent,
                    judge=judge,
                    budget=budget,
                    trace_folder=self.traces / session.run.id,
                    listener=self._listener(session),
                )
            )

    def general(self, settings: RunSettings) -> tuple[GeneralAnswer, ...]:
        """The general prompts, asked of the agent's model without its role."""
        with self._cast(settings, Budget()) as (agent, *_):
            assert isinstance(agent, ChatAgent)
            return asyncio.run(ask(agent.model, concurrency=_AT_ONCE))

    def _cast(self, settings: RunSettings, budget: Budget) -> Any:
        return players(
            settings,
            self.scenarios,
            self.config,
            budget,
            self.store,
            served=self.served,
            on_progress=self.tell,
        )

    def _listener(self, session: Session) -> Callable[[Any], None]:
        told = 0

        def heard(progress: Any) -> None:
            nonlocal told
            of = len(session.trials)
            if progress.played * 10 // of > told:
                told = progress.played * 10 // of
                self.tell(f"{session.run.agent}: {progress.played} of {of} conversations")

        return heard


def play_settings(run: Run, agent: str, settings: Any, held_out: Sequence[HeldOut], concurrency: int) -> RunSettings:
    """As the run was played, but by `agent`, and nothing but the held-out conversations."""
    told = recorded_settings(run)
    cells = tuple(dict.fromkeys((it.scenario, it.variant) for it in held_out))
    return told.model_copy(
        update={
            "agent": agent,
            "agent_settings": settings,
            "variants": cells,
            "trials": max(1, len(held_out)),
            "repeats": 1,
            "fork": None,
            "concurrency": concurrency,
        }
    )


async def answer_served(served: Endpoint, prompts: Sequence[Prompt]) -> list[str]:
    """The served model's answer at each prompt, asked as the agent asks."""
    return await _answers(served, [prompt.request for prompt in prompts])


async def sample_served(served: Endpoint, prompts: Sequence[Prompt], n: int, seed: int) -> list[list[str]]:
    """`n` answers of the served model at each prompt, at temperature 1 and otherwise as the agent asks.

    Each is asked for with a seed of its own, derived from `seed`: to requests that share one a server gives one answer.
    The same again they need not be all the same, since what is answered side by side shares a batch and rounds
    otherwise. So these answers are a sample; they are kept.
    """
    requests = [
        {**it.request, "temperature": 1.0, "seed": derive(seed, "sample", it.id, str(number)) >> 33}
        for it in prompts
        for number in range(n)
    ]
    texts = await _answers(served, requests)
    return [texts[place * n : (place + 1) * n] for place in range(len(prompts))]


async def _answers(served: Endpoint, requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """As the model wrote them: calls are left in the text."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(client: httpx.AsyncClient, request: Mapping[str, Any]) -> str:
        written = {"tool_choice": "none"} if "tools" in request else {}  # the tools stand in the prompt all the same
        async with limit:
            answer = await _post(client, "/v1/chat/completions", {**request, **written}, served)
        return answer["choices"][0]["message"]["content"] or ""

    async with _client(served) as client:
        return list(await asyncio.gather(*(one(client, request) for request in requests)))


async def check_parity(served: Endpoint, prompts: Sequence[Prompt], ids: Mapping[str, Sequence[int]]) -> int:
    """Hold the trainer's token ids of each prompt against the server's; gives how many were compared.

    Raises:
        UsageError: they differ, so that training would teach answers to other prompts than are served.
    """
    async with _client(served) as client:
        for prompt in prompts:
            body: dict[str, Any] = {it: prompt.request[it] for it in ("messages", "tools") if it in prompt.request}
            answer = await _post(client, "/tokenize", {**body, "add_generation_prompt": True}, served)
            here, there = list(ids[prompt.id]), list(answer["tokens"])
            if here != there:
                place = next(
                    (i for i, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there))
                )
                raise UsageError(
                    f"prompt {prompt.id}: trainer and server read it differently from token {place} on "
                    f"({len(here)} tokens here, {len(there)} there): {here[place : place + 5]} against "
                    f"{there[place : place + 5]}; are chat template and tokenizer those that are served?"
                )
    return len(prompts)


async def check_calls(served: Endpoint, prompts: Sequence[Prompt]) -> int:
    """Have the server write golden calls, one of each tool, and hold what it takes from the text against what is read
    here; gives how many were compared. A guided agent's actions are read by the same code there and here; held against
    each other is how they are written, since training holds answers to the same grammar.

    Raises:
        UsageError: they differ, so that what is rewarded in training would not be what is served.
    """
    golden = {
        calls[0].name: (prompt, calls[0])
        for prompt in prompts
        if prompt.dialect == "hermes" and prompt.golden and (calls := prompt.read(prompt.golden).calls)
    }
    guided = [prompt for prompt in prompts if prompt.dialect == "guided"][:_WRITTEN]
    for prompt, text in zip(guided, await answer_served(served, guided), strict=True):
        if any(map(str.isspace, _STRING.sub("", text))):
            raise UsageError(
                f"prompt {prompt.id}: the server wrote {text!r}, with white space between its tokens, and training "
                "writes actions without any: was it started with another --structured-outputs-config?"
            )
    async with _client(served) as client:
        for prompt, call in golden.values():
            choice = (await _post(client, "/v1/chat/completions", _forced(prompt, call), served))["choices"][0]
            text = (await _post(client, "/detokenize", {"tokens": choice["token_ids"]}, served))["prompt"]
            made = [it["function"] for it in choice["message"].get("tool_calls") or ()]
            there = [(it["name"], orjson.loads(it["arguments"])) for it in made]
            here = [(it.name, it.arguments) for it in prompt.read(text).calls]
            if not here == there == [(call.name, call.arguments)]:
                raise UsageError(
                    f"prompt {prompt.id}: of {text!r} the server takes the calls {there}, and {here} is read here: "
                    "calls can be in the tags of --tool-call-parser hermes, or with any model `guided = true`"
                )
    return len(golden) + len(guided)


def _forced(prompt: Prompt, call: ToolCall) -> dict[str, Any]:
    """A request that can only be answered by this call."""
    values = {name: {"const": value} for name, value in (call.arguments or {}).items()}
    schema = {"type": "object", "properties": values, "required": list(values), "additionalProperties": False}
    return {
        "messages": prompt.request["messages"],
        "tools": [{"type": "function", "function": {"name": call.name, "parameters": schema}}],
        "tool_choice": {"type": "function", "function": {"name": call.name}},
        "temperature": 0,
        "return_token_ids": True,
    }


def _client(served: Endpoint) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {served.api_key}"}
    return httpx.AsyncClient(headers=headers, timeout=300.0, trust_env=False)


async def _post(client: httpx.AsyncClient, path: str, body: Mapping[str, Any], served: Endpoint) -> Any:
    root = served.base_url.removesuffix("/v1")
    response = await client.post(root + path, json={"model": served.model, **body})
    if not response.is_success:
        raise AgentkitError(f"the model server refused {path}: {response.status_code} {response.text[:300]}")
    return response.json()


def with_adapter(agent: str, settings: Any, adapter: str) -> tuple[str, Any]:
    """Name and settings of a chat agent that has this adapter in place of the one that it had."""
    return f"{agent.partition('+')[0]}+{adapter}", settings.model_copy(update={"adapters": (adapter,)})
