"""Who plays: the agent under test, the users and the judge, with the model server that any of them needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
    served: Endpoint | None = None
    """The server of the agent's model, where that is served here."""


@contextmanager
def players(
    settings: RunSettings,
    scenarios: Sequence[Loaded],
    project: config.Config,
    budget: Budget,
    store: Store,
    *,
    replay_users: bool = False,
    served: Endpoint | None = None,
    on_progress: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> Iterator[Players]:
    """The players of a run; what was started for them is stopped at the end.

    `project` says what models cost, where trained adapters are, and how model servers run.
    `replay_users`: users say what is recorded in the store, and no model is asked for their words.
    `served`: a server of the agent's model, its adapters merged, that is up already; left out, one is started.
    `on_progress` is told how a model server comes up.
    """
    table = Prices.load(project.prices)
    changes = _adapters(settings, Path(project.adapters), store)
    suites = {loaded.suite.folder: loaded.suite for loaded in scenarios}
    with ExitStack() as stack:
        engines = _Engines(stack, project.serve.engines, changes, served, on_progress)

        def chat_model(user: str, endpoint: config.Endpoint, budget: Budget = budget) -> ChatModel:
            if isinstance(endpoint, config.ChatAgent | config.LlmUser) and endpoint.engine is not None:
                return engines.model(endpoint, endpoint.engine, budget)
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
        if isinstance(agent, ChatAgent):
            agent = replace(
                agent,
                weights=engines.weights,
                computing=engines.computing,
                adapters={it.name: it.manifest.hash for it in changes},
            )
        judge = None
        if settings.judge is not None:
            judge = Judge(chat_model("judge", settings.judge), store, settings.judge)

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
        yield Players(agent, judge, users, engines.agents)


@dataclass(frozen=True, slots=True)
class _NeverAsked:
    """The model of a user that only repeats what is recorded: neither a key nor a server is needed."""

    name: str
    provider: str

    @classmethod
    def of(cls, endpoint: config.Endpoint) -> _NeverAsked:
        if isinstance(endpoint, config.LlmUser) and endpoint.engine is not None:
            from agentkit.serve.model import model_name

            return cls(model_name(endpoint.engine), _PROVIDER)
        return cls(endpoint.model, "openai")

    async def complete(self, request: ChatRequest) -> ChatResponse:
        raise ProviderError("rejected", "only what is recorded may be said")

    async def close(self) -> None:
        return None


_PROVIDER = "vllm"


def _adapters(settings: RunSettings, folder: Path, store: Store) -> tuple[AdapterFolder, ...]:
    """The adapters of the agent under test, verified before anything is started."""
    if not (isinstance(settings.agent_settings, config.ChatAgent) and settings.agent_settings.adapters):
        return ()
    from agentkit.serve.registered import find_adapters

    return find_adapters(settings.agent_settings.adapters, folder, store)


class _Engines:
    """The model servers of a run: each started once, when it is first needed, and stopped with `stack`."""

    def __init__(
        self,
        stack: ExitStack,
        options: config.EngineOptions,
        changes: Sequence[AdapterFolder],
        served: Endpoint | None,
        tell: Callable[[str], None],
    ) -> None:
        self._stack = stack
        self._options = options
        self._changes = tuple(changes)
        self._served = served
        self._tell = tell
        self._running: dict[tuple[str, bool], tuple[Endpoint, str]] = {}
        self.weights: str | None = None
        """Hash of the base model that the agent is served with; None where it is served elsewhere."""
        self.computing: Mapping[str, str] = {}
        """How its server computes."""
        self.agents: Endpoint | None = None
        """Its server."""

    def model(self, asking: config.ChatAgent | config.LlmUser, engine: str, budget: Budget) -> ChatModel:
        """The model of the agent, with its adapters, or of a user."""
        served, key = self._of(asking, engine)
        return OpenAIChat(
            served.base_url,
            served.model,
            api_key_env=key,
            provider=_PROVIDER,
            timeout=asking.timeout,
            budget=budget,
            price=FREE,
        )

    def _of(self, asking: config.ChatAgent | config.LlmUser, engine: str) -> tuple[Endpoint, str]:
        """A server, and the environment variable that holds its key: the client takes keys from there alone, so that
        no setting ever holds one."""
        from agentkit.serve.model import model_endpoint, playing_settings, served_model
        from agentkit.serve.model_hash import content_hash

        is_agent = isinstance(asking, config.ChatAgent)
        adapters = self._changes if is_agent else ()
        if (found := self._running.get((engine, bool(adapters)))) is not None:
            return found
        model = served_model(engine, on_progress=self._tell)
        served = self._served if is_agent else None
        if served is None:
            settings = playing_settings(self._options, self._tell)
            running = model_endpoint(model, adapters=adapters, settings=settings, on_progress=self._tell)
            served = self._stack.enter_context(running)
        if is_agent:  # the first that asks
            self.weights, self.computing = content_hash(model.folder), served.computing
            self.agents = served
        key = f"AGENTKIT_ENGINE_{len(self._running) + 1}_KEY"
        os.environ[key] = served.api_key
        self._stack.callback(os.environ.pop, key, None)
        self._running[engine, bool(adapters)] = served, key
        return served, key
