"""Settings by the names that a command line gives."""

from __future__ import annotations

import os

from pydantic import ValidationError

from agentkit.config.players import AgentSettings, ChatAgent, ScriptedAgent, ScriptedUser, TemplatedUser, UserSettings
from agentkit.config.project import Config
from agentkit.errors import ConfigError, near_match
from agentkit.redact import names_variable


def agent_settings(name: str, config: Config) -> AgentSettings:
    """The agent called `name`: one of `[tool.agentkit.agents]`, or `scripted[:accuracy]`, which is always there.
    `demo+refund-v1-3fa9` is the agent `demo` whose model has the changes of that adapter, or of several.

    Raises:
        ConfigError: there is no such agent, with the nearest name, or it cannot have adapters.
    """
    if name in config.agents:
        return _served_here(name, config.agents[name])
    kind, _, accuracy = name.partition(":")
    if kind == "scripted":
        try:
            return ScriptedAgent(kind="scripted", accuracy=float(accuracy or 1.0))
        except ValueError:
            raise ConfigError(f"agent {name!r}: expected `scripted:P` with P from 0 to 1, found {accuracy!r}") from None
    plain, plus, adapters = name.partition("+")
    if plus and plain in config.agents:
        return _adapted(name, config.agents[plain], tuple(adapters.split("+")))
    known = [*config.agents, "scripted"]
    raise ConfigError(f"no agent is called {plain!r} in [tool.agentkit.agents]{near_match(plain, known)}")


def _adapted(name: str, agent: AgentSettings, adapters: tuple[str, ...]) -> AgentSettings:
    if not isinstance(agent, ChatAgent):
        raise ConfigError(f"agent {name!r}: only an agent of the kind 'chat' can have adapters, found {agent.kind!r}")
    return _served_here(name, agent.model_copy(update={"adapters": agent.adapters + adapters}))


def _served_here(name: str, agent: AgentSettings) -> AgentSettings:
    """The agent as it is. Raises ConfigError where it names adapters that nothing here would load."""
    if isinstance(agent, ChatAgent) and agent.adapters:
        if agent.engine is None:
            raise ConfigError(f'agent {name!r}: adapters need a model that is served here: `engine = "…"`')
        for adapter in agent.adapters:
            if not adapter:
                raise ConfigError(f"agent {name!r}: expected AGENT+ADAPTER, found no adapter's name after a '+'")
            if agent.adapters.count(adapter) > 1:
                raise ConfigError(f"agent {name!r}: found the adapter {adapter!r} twice")
    return agent


def user_settings(name: str, config: Config) -> UserSettings:
    """The user called `name`: one of `[tool.agentkit.users]`, or `scripted` or `templated[:style]`, which are always
    there.

    Raises:
        ConfigError: there is no such user, with the nearest name.
    """
    if name in config.users:
        return config.users[name]
    kind, _, style = name.partition(":")
    if name == "scripted":
        return ScriptedUser(kind="scripted")
    if kind == "templated":
        try:
            return TemplatedUser.model_validate({"kind": kind, "style": style or None})
        except ValidationError as error:
            expected = error.errors(include_url=False)[0]["ctx"]["expected"]
            raise ConfigError(f"user {name!r}: found the style {style!r}, expected {expected}") from None
    known = [*config.users, "scripted", "templated"]
    raise ConfigError(f"no user is called {name!r} in [tool.agentkit.users]{near_match(name, known)}")


def secret(variable: str | None, user: str) -> str | None:
    """The value of the environment variable that `user` (named in the error) keeps a secret in.

    Raises ConfigError, which never quotes what may be the secret itself.
    """
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        if not names_variable(variable):
            raise ConfigError(
                f"{user}: found what is no name of an environment variable, expected that of the one with the secret"
            )
        raise ConfigError(f"{user}: the environment variable {variable} is not set")
    return value
