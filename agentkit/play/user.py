"""What the runner asks of a simulated user: the words of one turn, given everything that was said so far.

A turn's own words are what the user means there; how it is said may differ. Turns that belong to a detour are said word
for word. Users keep nothing between turns, as agents keep nothing between moves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from agentkit.errors import ConfigError, ProviderError, UsageError, near_match
from agentkit.grade.text import shortened
from agentkit.records import Message, Stop, ToolSpec
from agentkit.redact import redact
from agentkit.scenario import Instance, Loaded
from agentkit.scenario.instance import PlayTurn
from agentkit.tracing import Trial as TrialSpan

SCRIPTED = "scripted"
"""The user who says the turns' own words."""


@dataclass(frozen=True, slots=True)
class Cue:
    """The situation in which a user is to speak."""

    instance: Instance
    index: int
    """Of the turn, from 0."""
    messages: tuple[Message, ...]
    """The conversation so far."""
    tools: Mapping[str, ToolSpec]
    """The agent's; a user has none."""
    span: TrialSpan
    """Where the user's model calls are traced."""

    @property
    def turn(self) -> PlayTurn:
        return self.instance.turns[self.index]

    @property
    def meaning(self) -> str:
        """What the user means to say."""
        return self.turn.user

    @property
    def last(self) -> bool:
        return self.index + 1 == len(self.instance.turns)

    @property
    def satisfied(self) -> bool:
        """Whether calls were due before, and none is from here on: the user has what they came for."""
        due = [any(step.call is not None for step in turn.steps) for turn in self.instance.turns]
        return any(due[: self.index]) and not any(due[self.index :])


class User(Protocol):
    """A simulated user, shared by all trials of a run."""

    @property
    def name(self) -> str: ...

    async def say(self, cue: Cue) -> Message:
        """The user's message.

        Raises:
            UserLeft: the user goes before the last turn; the conversation is over.
            UserFault: the user said what it may not say, and could not be put right: the trial becomes invalid.
            ProviderError: the user's model failed and outlasted its retries: the trial becomes invalid.
            NotRecorded: only recorded words may be said, and there are none: the run ends.
            BudgetExhausted: a hard limit was reached: the trial is abandoned.
        """
        ...

    def definition(self) -> Mapping[str, Any]:
        """Everything that can change its words, without secrets: plain JSON."""
        ...

    async def close(self) -> None: ...


class UserLeft(Exception):
    """The simulated user has what they came for."""


class UserFault(Exception):
    """The simulated user is at fault; the message says what it did."""


class NotRecorded(UsageError):
    """A user that may only repeat what is recorded has no recording of this moment."""


class UserStopped(Exception):
    """There is no message of the user's, and so no turn; the message is the reason in words."""

    def __init__(self, stop: Stop, reason: str) -> None:
        super().__init__(reason)
        self.stop = stop


async def speak(user: User, cue: Cue) -> Message:
    """The user's message. Raises UserStopped where it comes to none, NotRecorded and BudgetExhausted."""
    try:
        return await user.say(cue)
    except UserLeft as error:
        raise UserStopped(Stop.USER_LEFT, "the user had what they came for, and left") from error
    except UserFault as error:
        raise UserStopped(Stop.USER_ERROR, shortened(redact(str(error)), 500)) from error
    except ProviderError as error:
        reason = f"the simulated user {user.name} could not be asked: {error}"
        raise UserStopped(Stop.INVALID, shortened(redact(reason), 500)) from error


@dataclass(frozen=True, slots=True)
class Users:
    """Who plays which scenario of a run."""

    told: str | None = None
    """The user that the run was told to take, for every scenario; None: each scenario's own."""
    known: Mapping[str, User | None] = field(default_factory=lambda: {SCRIPTED: None})
    """By name; None says the turns' own words."""

    def of(self, loaded: Loaded) -> User | None:
        """The user of a scenario."""
        name = user_name(loaded, self.told)
        if name not in self.known:
            raise ConfigError(f"{loaded.id}: no user is called {name!r}{near_match(name, self.known)}")
        return self.known[name]

    def hashes(self) -> dict[str, str]:
        """Of every user but the scripted one: 16 hexadecimal digits that change whenever its definition does."""
        return {name: user_hash(user) for name, user in self.known.items() if user is not None}

    async def close(self) -> None:
        for user in self.known.values():
            if user is not None:
                await user.close()


def user_name(loaded: Loaded, told: str | None) -> str:
    """Who plays a scenario: the user that was told, else the scenario's own."""
    return told or loaded.scenario.user or SCRIPTED


def user_hash(user: User) -> str:
    return hashlib.sha256(orjson.dumps(user.definition(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
