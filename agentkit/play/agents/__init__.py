"""Agents under test, made from their settings."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import agentkit.config as config
from agentkit.errors import ConfigError, near_match
from agentkit.llm import Budget, ChatModel, Prices
from agentkit.play.agent import Agent
from agentkit.records import ToolSpec

ChatModelFactory = Callable[[str, config.Endpoint], ChatModel]
"""(who it is for, endpoint) → the chat model."""


def build_agent(
    name: str,
    settings: config.AgentSettings,
    *,
    tools: Mapping[str, ToolSpec],
    policy: str,
    chat_model: ChatModelFactory,
    budget: Budget,
    prices: Prices,
) -> Agent:
    """The agent called `name`.

    `tools` and `policy` are those of the suite to be played; only a graph's factory needs them before the first turn.

    Raises:
        ConfigError: a file, module, name or environment variable in `settings` cannot be used.
    """
    match settings:
        case config.ScriptedAgent():
            from agentkit.play.agents.scripted import ScriptedAgent

            return ScriptedAgent(name, settings.accuracy, settings.steps)
        case config.ChatAgent():
            from agentkit.play.agents.chat import ChatAgent

            system = _system(name, settings)
            model = chat_model(name, settings)
            return ChatAgent(name, model, settings, system, settings.guided, settings.calls_per_turn)
        case config.FunctionAgent():
            from agentkit.play.agents.function import FunctionAgent

            function = imported(settings.function, f"agent {name}: function")
            if not inspect.iscoroutinefunction(function) and not inspect.iscoroutinefunction(type(function).__call__):
                raise ConfigError(f"agent {name}: function: {settings.function} is not an `async def` function")
            _refuse_limit_on_cost(name, settings, budget)
            source = _source(settings.function)
            return FunctionAgent(name, function, settings.deterministic, source, budget)
        case config.HttpAgent():
            from agentkit.play.agents.http import HttpAgent

            _refuse_limit_on_cost(name, settings, budget)
            headers = {key: config.secret(env, f"agent {name}") or "" for key, env in settings.header_env.items()}
            return HttpAgent(name, settings, headers, budget)
        case config.GraphAgent():
            return _graph_agent(name, settings, tools, policy, budget, prices)


def _refuse_limit_on_cost(name: str, settings: config.FunctionAgent | config.HttpAgent, budget: Budget) -> None:
    """No price would tell what such an agent spends: which models it asks is not known."""
    if budget.max_cost is not None:
        raise ConfigError(
            f"max_cost cannot be enforced: nobody can see what agent {name} spends, since it is of kind "
            f"{settings.kind!r}; limit max_calls instead"
        )


def _system(name: str, settings: config.ChatAgent) -> str | None:
    if settings.system_file is None:
        return settings.system
    try:
        return Path(settings.system_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"agent {name}: system_file: {settings.system_file} cannot be read: {error}") from None


def _graph_agent(
    name: str,
    settings: config.GraphAgent,
    tools: Mapping[str, ToolSpec],
    policy: str,
    budget: Budget,
    prices: Prices,
) -> Agent:
    from agentkit.play.agents.graph import GraphAgent, langchain_tools

    factory = imported(settings.graph, f"agent {name}: graph")
    graph = factory
    if not hasattr(factory, "ainvoke"):
        offered = {"tools": langchain_tools(tools), "policy": policy}
        taken = inspect.signature(factory).parameters
        try:
            graph = factory(**{key: value for key, value in offered.items() if key in taken})
        except Exception as error:
            raise ConfigError(f"agent {name}: {settings.graph} raised {type(error).__name__}: {error}") from error
    if not hasattr(graph, "ainvoke"):
        raise ConfigError(
            f"agent {name}: {settings.graph} gave a {type(graph).__name__}, expected a compiled LangGraph graph"
        )
    return GraphAgent(
        name,
        graph,
        source=_source(settings.graph),
        deterministic=settings.deterministic,
        recursion_limit=settings.recursion_limit,
        budget=budget,
        prices=prices,
    )


def _source(reference: str) -> str:
    """`module:name@hash` of an imported reference: the hash changes with the module's own file."""
    file = getattr(sys.modules[reference.partition(":")[0]], "__file__", None)
    content = Path(file).read_bytes() if file else b""
    return f"{reference}@{hashlib.sha256(content).hexdigest()[:12]}"


def imported(reference: str, user: str) -> Any:
    """What `module:name` refers to, the working folder being importable; `user` is named in errors.

    Raises:
        ConfigError: not of that form, the import fails, or the module has no such name.
    """
    module_name, colon, attribute = reference.partition(":")
    if not colon or not module_name or not attribute:
        raise ConfigError(f"{user}: found {reference!r}, expected `module:name`")
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigError(f"{user}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        known = [key for key in vars(module) if not key.startswith("_")]
        raise ConfigError(f"{user}: {module_name} has no {attribute!r}{near_match(attribute, known)}")
    return getattr(module, attribute)
