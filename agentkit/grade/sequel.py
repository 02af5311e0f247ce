"""What a completion leads to, as a reward: whoever scores lends somebody who can play the rest of the scenario on."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from agentkit.errors import ConfigError
from agentkit.grade.reward import RewardStep, Value, mark

_SECONDS = 120.0
"""For the whole rest of a conversation, whose tools may be on a server."""


class Sequel(Protocol):
    """Plays on from a completion."""

    async def share(self, step: RewardStep) -> float | None:
        """The share of what succeeds after the completion, of what does after the golden one, from 0 to 1; None where
        nothing follows that the completion could change, or no golden completion is known.

        Raises AgentkitError where the rest cannot be played.
        """
        ...


ASKS = "__agentkit_sequel__"
"""What is noted on a reward that asks what follows."""
_lent: ContextVar[Sequel | None] = ContextVar("sequel", default=None)


@contextmanager
def use_sequel(sequel: Sequel) -> Iterator[None]:
    """Who plays on for rewards that are scored inside."""
    token = _lent.set(sequel)
    try:
        yield
    finally:
        _lent.reset(token)


def counterfactual(*, points: float = 1.0, seconds: float = _SECONDS) -> Callable[[RewardStep], Awaitable[Value]]:
    """A reward for what follows: after the completion, the rest of the scenario is played by the golden agent, and the
    value is the share of what then succeeds.

        what_follows = counterfactual(points=20)

    It can be asked in training alone, where the moment of a completion is known in full: elsewhere it raises
    ConfigError.
    """

    async def follows(step: RewardStep) -> Value:
        sequel = _lent.get()
        if sequel is None:
            raise ConfigError(
                "what follows a completion is known where the rest of its scenario can be played: in `agentkit tune`"
            )
        return await sequel.share(step)

    here = sys._getframe(1).f_globals["__name__"]  # the file of rewards that asks for it, whose part it is
    setattr(follows, ASKS, True)
    follows.__doc__ = "The share of what succeeds after it, the rest of the scenario being played by the golden agent."
    return mark(follows, points=points, seconds=seconds, module=here)
