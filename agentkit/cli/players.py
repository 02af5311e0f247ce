"""Who plays: the agent under test and the judge, with the model server that either needs, started and stopped."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import click

import agentkit.config as config
from agentkit.errors import ConfigError
from agentkit.grade import Judge
from agentkit.llm import FREE, Budget, ChatModel, Prices
from agentkit.llm.openai import OpenAIChat
from agentkit.llm.retry import Retries
from agentkit.play.agent import Agent
from agentkit.play.agents import build_agent
from agentkit.play.session import RunSettings
from agentkit.scenario import Loaded
from agentkit.store import Store


@contextmanager
def players(
    settings: RunSettings, scenarios: Sequence[Loaded], prices: Mapping[str, Any], budget: Budget, store: Store
) -> Iterator[tuple[Agent, Judge | None]]:
    """The agent and the judge of a run; what was started for them is stopped at the end."""
    table = Prices.load(prices)
    suites = {loaded.suite.folder: loaded.suite for loaded in scenarios}
    with ExitStack() as stack:

        def chat_model(user: str, endpoint: config.Endpoint) -> ChatModel:
            if isinstance(endpoint, config.ChatAgent) and endpoint.engine == "embedded":
                return _embedded(stack, endpoint, budget)
            if not endpoint.model:
                raise ConfigError(f"{user}: `model` is missing")
            return OpenAIChat(
                endpoint.base_url,
                endpoint.model,
                api_key_env=endpoint.api_key_env,
                headers=endpoint.headers,
                timeout=endpoint.timeout,
                retries=Retries(total=endpoint.retry_for),
                budget=budget,
                price=table.find(endpoint.model),
            )

        agent = build_agent(
            settings.agent,
            settings.agent_settings,
            tools={name: spec for suite in suites.values() if suite.world for name, spec in suite.world.tools.items()},
            policy="\n\n".join(suite.policy for suite in suites.values()),
            chat_model=chat_model,
            budget=budget,
            prices=table,
        )
        judge = None if settings.judge is None else Judge(chat_model("judge", settings.judge), store)
        yield agent, judge


def _embedded(stack: ExitStack, endpoint: config.ChatAgent, budget: Budget) -> ChatModel:
    from agentkit.serve import embedded_endpoint

    key = "AGENTKIT_ENGINE_KEY"  # the client takes keys from the environment only, so that no setting ever holds one
    served = stack.enter_context(embedded_endpoint(on_progress=lambda line: click.echo(line, err=True)))
    os.environ[key] = served.api_key
    stack.callback(os.environ.pop, key, None)
    return OpenAIChat(
        served.base_url,
        served.model,
        api_key_env=key,
        provider="vllm",
        timeout=endpoint.timeout,
        budget=budget,
        price=FREE,
    )
