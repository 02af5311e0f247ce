"""Simulated users, made from their settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import agentkit.config as config
from agentkit.llm import ChatModel
from agentkit.play.user import SCRIPTED, User, Users, user_name
from agentkit.play.users.llm import LlmUser, Recordings
from agentkit.play.users.templated import TemplatedUser
from agentkit.scenario import Loaded

ChatModelFactory = Callable[[str, config.Endpoint], ChatModel]
"""(who it is for, endpoint) → the chat model."""


def chosen_users(
    scenarios: Sequence[Loaded], told: str | None, settings: config.Config
) -> dict[str, config.UserSettings]:
    """Settings of those who play these scenarios, by name.

    Raises:
        ConfigError: one that was told, or that a scenario names, is not there.
    """
    names = sorted({user_name(loaded, told) for loaded in scenarios})
    return {name: config.user_settings(name, settings) for name in names}


def build_users(
    told: str | None,
    settings: Mapping[str, config.UserSettings],
    *,
    chat_model: ChatModelFactory,
    recordings: Recordings,
    replay: bool = False,
) -> Users:
    """The users of a run. `replay`: none of them asks a model; what is not recorded cannot be said.

    Raises:
        ConfigError: an endpoint or an environment variable in `settings` cannot be used.
    """

    def user(name: str, told: config.UserSettings) -> User | None:
        match told:
            case config.ScriptedUser():
                return None
            case config.TemplatedUser():
                return TemplatedUser(name, told.style, told.leaves)
            case config.LlmUser():
                return LlmUser(name, chat_model(f"user {name}", told), told, recordings, replay)

    known = {name: user(name, found) for name, found in settings.items()}
    return Users(told, {SCRIPTED: None} | known)
