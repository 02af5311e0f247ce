"""What the runner asks of an agent under test: one move, given everything that was said and done so far.

Agents keep nothing between moves, so that any conversation can be taken up, forked or replayed at any point.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from agentkit.records import Message, ToolCall, ToolSpec, TrialKey
from agentkit.scenario import PlayTurn
from agentkit.tracing import Turn as TurnSpan


@dataclass(frozen=True, slots=True)
class Moment:
    """The situation in which an agent is to make its next move."""

    key: TrialKey
    conversation_id: str
    """A UUID per trial."""
    turn: int
    """Index of the turn, from 0."""
    expected: PlayTurn
    """What is expected here: for agents that are played by a script, and for nobody else."""
    messages: tuple[Message, ...]
    """The conversation so far; the last one is the user's or a tool's."""
    tools: Mapping[str, ToolSpec]
    policy: str
    """The suite's policy; '' where it has none."""
    seed: int
    """For whatever the agent draws at random in this trial, 31 bits."""
    span: TurnSpan
    """Where the agent's model calls are traced."""
    call_tool: Callable[[ToolCall], Awaitable[Message]]
    """Executes a call in the trial's world and returns the tool message, for agents that drive their own tools."""
    made: list[Message] = field(default_factory=list, compare=False)
    """What is already done of this move: each call of `call_tool` with its answer, and model calls that the agent tells
    of, each before the tool calls that it led to. It is recorded where the agent raises, else what it returns is."""


class Agent(Protocol):
    """An agent under test, shared by all trials of a run."""

    @property
    def name(self) -> str: ...

    @property
    def deterministic(self) -> bool:
        """Whether equal conversations get equal answers."""
        ...

    async def act(self, moment: Moment) -> tuple[Message, ...]:
        """The next messages. If the last one has tool calls, they are executed and the agent is asked again; else it
        is the answer to the user. Messages of calls that the agent executed by itself come before it.

        Raises:
            ProviderError: a model or service failed and outlasted its retries: the trial becomes invalid.
            BudgetExhausted: a hard limit was reached: the trial is abandoned.
            Exception: anything else is the agent's own fault: the trial failed.
        """
        ...

    def definition(self) -> Mapping[str, Any]:
        """Everything that can change its answers, without secrets: plain JSON."""
        ...

    async def close(self) -> None: ...


def agent_hash(agent: Agent) -> str:
    """16 hexadecimal digits that change whenever the agent's definition does."""
    return hashlib.sha256(orjson.dumps(agent.definition(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
