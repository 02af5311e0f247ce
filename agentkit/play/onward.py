"""The rest of a conversation, played on from a move that somebody made: what did that move lead to?

What came before is given and its calls are made again in a fresh world. The move stands as it is; from then on the
golden agent does what is due after it, and puts nothing right that the move got wrong.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit.config import Limits
from agentkit.errors import WorldError
from agentkit.grade import grade_outcome
from agentkit.play.agent import Agent, Moment
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.conversation import Conversation, Stage, State
from agentkit.play.converse import converse, final_state
from agentkit.play.rebuilt import as_stored, remake
from agentkit.play.trial import trial_world
from agentkit.records import Message, StepGrade, TrialKey, Verdict
from agentkit.scenario import Loaded
from agentkit.scenario.detours import Disturbed
from agentkit.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Start:
    """A moment of a conversation at which an agent is to move."""

    loaded: Loaded
    disturbed: Disturbed
    turn: int
    """Index of the turn, from 0."""
    history: tuple[Message, ...]
    """All that was said before; the last message is the user's or a tool's."""
    snapshot: bytes
    """Of the world."""
    state: Any
    """Of the world, plain JSON as a store gives it back."""


@dataclass(frozen=True, slots=True)
class Onward:
    """What came of a move."""

    messages: tuple[Message, ...]
    """The whole conversation, what was given included."""
    steps: tuple[StepGrade, ...]
    """Of the move's turn and of those after it."""
    outcome: tuple[StepGrade, ...]
    """Each check of the outcome; one that a judge decides is ungraded."""


@dataclass(slots=True)
class _Then:
    """Makes the given move, and leaves all others to the golden agent."""

    move: Message
    given: int
    """Messages before the move."""
    others: Agent
    name: str = "onward"
    deterministic: bool = field(default=True)

    async def act(self, moment: Moment) -> tuple[Message, ...]:
        if len(moment.messages) == self.given:
            return (self.move,)
        return await self.others.act(moment)

    def definition(self) -> Mapping[str, Any]:
        return self.others.definition()

    async def close(self) -> None:
        await self.others.close()


async def start_at(loaded: Loaded, disturbed: Disturbed, history: Sequence[Message], turn: int) -> Start:
    """The moment after `history`, its calls made again.

    Raises:
        WorldError: the world cannot be made, or a call gives something else than it gave.
    """
    world = await trial_world(loaded, disturbed)
    try:
        if trouble := await remake(history, world):
            raise WorldError(trouble)
        return Start(loaded, disturbed, turn, tuple(history), await world.snapshot(), as_stored(await world.state()))
    finally:
        await world.close()


async def play_on(start: Start, move: Message, conversation: Conversation) -> Onward:
    """The conversation to its end, `move` being the next that the agent does. Nothing is drawn that the instance's
    seed does not decide: the same move leads to the same end.

    Raises:
        WorldError: the world, or the harness itself, failed on the way.
    """
    instance, seed = start.disturbed.instance, start.disturbed.undisturbed.seed
    key = TrialKey(start.loaded.id, instance.variant, seed)
    tracing, thread = Tracing.off(), str(uuid.uuid4())
    stage = Stage(
        key=key,
        instance=instance,
        agent=_Then(move, len(start.history), ScriptedAgent("golden")),
        world=await trial_world(start.loaded, start.disturbed),
        policy=start.loaded.suite.policy,
        judge=None,
        limits=Limits(),
        span=tracing.trial(conversation_id=thread, scenario=key.scenario, variant=key.variant, index=0, agent=""),
        conversation_id=thread,
        seed=seed & 0x7FFFFFFF,
    )
    try:
        await stage.world.restore(start.snapshot)
        stage.turn_span = stage.span.turn(index=start.turn, agent=stage.agent.name)
        state, trouble = await converse(stage, conversation, _branch(start))
        world = await final_state(stage)
    finally:
        await stage.world.close()
        stage.span.finish(Verdict.INVALID)
    if trouble := trouble or stage.trouble:
        raise WorldError(f"{start.loaded.id}/{instance.variant}: the conversation cannot be played on: {trouble}")
    outcome = await grade_outcome(
        instance.outcome, state["messages"], world, None, tools=start.loaded.tools, variables=instance.variables
    )
    return Onward(state["messages"], state["grades"], outcome)


def _branch(start: Start) -> State:
    own = sum(message.turn == start.turn and message.role == "assistant" for message in start.history)
    return State(
        turn=start.turn, moves=own, messages=start.history, world=start.snapshot, grades=(), stop=None, reason=""
    )
