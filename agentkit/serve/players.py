"""Who plays: the agent under test, the users and the judge, with the model server that any of them needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import agentkit.config as config
from agentkit.errors import ConfigError, ProviderError
from agentkit.grade import Judge
from agentkit.llm import FREE, Budget, ChatModel, ChatRequest, ChatResponse, Prices
from agentkit.llm.openai import OpenAIChat
from agentkit.play.agent import Agent
from agentkit.play.agents import build_agent
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.session import RunSettings
from agentkit.play.user import Users
from agentkit.play.users import build_users
from agentkit.scenario import Loaded
from agentkit.store import Store

if TYPE_CHECKING:
    from agentkit.serve import Endpoint
    from agentkit.serve.adapter_folder import AdapterFolder


class Players(NamedTuple):
    """Those who take part in a run."""

    agent: Agent
    judge: Judge | None
    users: Users


@contextmanager
def players(
    settings: RunSettings,
    scenarios: Sequence[Loaded],
    prices: Mapping[str, Any],
    budget: Budget,
    store: Store,
    *,
    adapters: str = config.DEFAULT_ADAPTERS,
    replay_users: bool = False,
    served: Endpoint | None = None,
    on_progress: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> Iterator[Players]:
    """The players of a run; what was started for them is stopped at the end.

    `adapters`: the folder of the trained adapters.
    `replay_users`: users say what is recorded in the store, and no model is asked for their words.
    `served`: a server of the agent's model, its adapters merged, that is up already; left out, one is started.
    `on_progress` is told how a model server comes up.
    """
    table = Prices.load(prices)
    changes = _adapters(settings, Path(adapters), store)
    suites = {loaded.suite.folder: loaded.suite for loaded in scenarios}
    with ExitStack() as stack:

        @cache
        def engine(adapted: bool) -> _Served:
            needed = changes if adapted else ()
            return _engine(stack, needed, served if needed == changes else None, on_progress)

        def chat_model(user: str, endpoint: config.Endpoint, budget: Budget = budget) -> ChatModel:
            if isinstance(endpoint, config.ChatAgent | config.LlmUser) and endpoint.engine == "embedded":
                adapted = isinstance(endpoint, config.ChatAgent) and bool(endpoint.adapters)
                return _embedded(engine(adapted), endpoint, budget)
            if not endpoint.model:
                raise ConfigError(f"{user}: `model` is missing")
            return OpenAIChat.at(endpoint, budget=budget, prices=table)

        agent = build_agent(
            settings.agent,
            settings.agent_settings,
            tools={name: spec for suite in suites.values() if suite.world for name, spec in suite.world.tools.items()},
            policy="\n\n".join(suite.policy for suite in suites.values()),
            chat_model=chat_model,
            budget=budget,
            prices=table,
        )
        if isinstance(agent, ChatAgent) and changes:
            agent = replace(agent, adapters={it.name: it.manifest.hash for it in changes})
        judge = None if settings.judge is None else Judge(chat_model("judge", settings.judge), store)

        def user_model(user: str, endpoint: config.Endpoint) -> ChatModel:
            share = budget.share("users")
            return _NeverAsked.of(endpoint) if replay_users else chat_model(user, endpoint, share)

        users = build_users(
            settings.user,
            settings.users,
            chat_model=user_model,
            recordings=store,
            replay=replay_users,
        )
        yield Players(agent, judge, users)


@dataclass(frozen=True, slots=True)
class _NeverAsked:
    """The model of a user that only repeats what is recorded: neither a key nor a server is needed."""

    name: str
    provider: str

    @classmethod
    def of(cls, endpoint: config.Endpoint) -> _NeverAsked:
        if isinstance(endpoint, config.LlmUser) and endpoint.engine == "embedded":
            from agentkit.serve.embedded import NAME

            return cls(NAME, _EMBEDDED)
        return cls(endpoint.model, "openai")

    async def complete(self, request: ChatRequest) -> ChatResponse:
        raise ProviderError("rejected", "only what is recorded may be said")

    async def close(self) -> None:
        return None


_EMBEDDED = "vllm"
_ENGINE_KEY = "AGENTKIT_ENGINE_KEY"
_ADAPTED_ENGINE_KEY = "AGENTKIT_ADAPTED_ENGINE_KEY"
"""The client takes keys from the environment only, so that no setting ever holds one; each engine has its own."""


class _Served(NamedTuple):
    """A model server, and the environment variable that holds its key."""

    endpoint: Endpoint
    key: str


def _adapters(settings: RunSettings, folder: Path, store: Store) -> tuple[AdapterFolder, ...]:
    """The adapters of the agent under test, verified before anything is started."""
    if not (isinstance(settings.agent_settings, config.ChatAgent) and settings.agent_settings.adapters):
        return ()
    from agentkit.serve.registered import find_adapters

    return find_adapters(settings.agent_settings.adapters, folder, store)


def _engine(
    stack: ExitStack,
    adapters: Sequence[AdapterFolder],
    served: Endpoint | None,
    on_progress: Callable[[str], None],
) -> _Served:
    from agentkit.serve import embedded_endpoint

    if served is None:
        served = stack.enter_context(embedded_endpoint(adapters=adapters, on_progress=on_progress))
    key = _ADAPTED_ENGINE_KEY if adapters else _ENGINE_KEY
    os.environ[key] = served.api_key
    stack.callback(os.environ.pop, key, None)
    return _Served(served, key)


def _embedded(served: _Served, settings: config.Endpoint, budget: Budget) -> ChatModel:
    return OpenAIChat(
        served.endpoint.base_url,
        served.endpoint.model,
        api_key_env=served.key,
        provider=_EMBEDDED,
        timeout=settings.timeout,
        budget=budget,
        price=FREE,
    )
