"""Right histories: what an agent that does everything right would have said and done, turn by turn.

They are played by the scripted golden agent in the same graph as any trial, without a model call; the checkpoints that
the play leaves are where forks begin.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from langchain_core.runnables import RunnableConfig

from agentkit.config import Limits
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.conversation import Conversation, Stage, State, build_conversation, start_state, superstep_limit
from agentkit.play.trial import trial_world
from agentkit.play.trouble import agent_trouble
from agentkit.records import Message, Status, StepGrade, ToolCall, TrialKey, Verdict
from agentkit.scenario import Loaded, close_worlds
from agentkit.scenario.detours import Disturbed
from agentkit.tracing import Tracing

_KEPT = 64
"""Histories in memory: more than one instance of a scenario has variants under way at once."""


NOTHING = State(turn=0, moves=0, messages=(), world=b"", grades=(), stop=None, reason="")
"""Of a conversation that could not even begin."""


@dataclass(frozen=True, slots=True)
class History:
    """One golden play."""

    beginning: bytes
    """The world's snapshot before the first word."""
    starts: tuple[State, ...]
    """The checkpoint of each turn in which the user has spoken and the agent is to move."""
    grades: tuple[StepGrade, ...]
    calls: tuple[tuple[ToolCall, ...], ...]
    """The golden agent's tool calls, by turn."""
    moves: tuple[int, ...]
    """The golden agent's moves, by turn."""
    messages: tuple[Message, ...] = ()
    """All that was said, what tools answered included."""
    trouble: str = ""
    """Why the play ended before its time, in words."""

    def wrong_before(self, turn: int) -> str:
        """Why there is no right history for a turn, in words; '' where there is one."""
        failed = next((g for g in self.grades if g.turn is not None and g.turn < turn and _fails(g)), None)
        if failed is not None:
            return f"the golden play fails {failed.step}: {failed.reason}"
        return "" if turn < len(self.starts) else f"the golden play ended before this turn: {self.trouble}"


def _fails(grade: StepGrade) -> bool:
    return grade.status is Status.FAILED


class Histories:
    """Golden plays of a run, each played when it is first asked for and kept while it is likely to be wanted again."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._tracing = Tracing.off()
        self._plays: OrderedDict[tuple[str, str, int], asyncio.Task[History]] = OrderedDict()

    async def of(self, loaded: Loaded, variant: str, instance: int) -> History:
        """The golden play of a variant without faults. Equal questions at the same time are one play."""
        key = loaded.id, variant, instance
        if key not in self._plays:
            self._plays[key] = asyncio.create_task(self._play(loaded, variant, instance))
            while len(self._plays) > _KEPT:
                self._plays.popitem(last=False)
        self._plays.move_to_end(key)
        return await asyncio.shield(self._plays[key])

    async def close(self) -> None:
        """Wait for plays that nobody waits for any more."""
        await asyncio.gather(*self._plays.values(), return_exceptions=True)
        self._tracing.close()

    async def _play(self, loaded: Loaded, variant: str, seed: int) -> History:
        instance, thread = loaded.draw(variant, seed), str(uuid.uuid4())
        undisturbed = Disturbed(instance, instance)
        stage = Stage(
            key=TrialKey(loaded.id, variant, seed),
            instance=instance,
            agent=ScriptedAgent("golden"),
            world=await trial_world(loaded, undisturbed),
            policy=loaded.suite.policy,
            judge=None,
            limits=Limits(),
            span=self._tracing.trial(conversation_id=thread, scenario=loaded.id, variant=variant, index=0, agent=""),
            conversation_id=thread,
            seed=seed & 0x7FFFFFFF,
        )
        config: RunnableConfig = {
            "configurable": {"thread_id": thread},
            "recursion_limit": superstep_limit(stage),
        }
        start, trouble = NOTHING, ""
        try:
            start = await start_state(stage)
            await self._conversation.ainvoke(start, config, context=stage)
        except Exception as error:  # a defect of a world: there is a right history as far as the play went
            trouble = agent_trouble(error)[1]
        finally:
            await stage.world.close()
            stage.span.finish(Verdict.INVALID)
        return await self._history(config, start, trouble)

    async def _history(self, config: RunnableConfig, start: State, trouble: str) -> History:
        """Read a play off its checkpoints, newest first, and drop its thread."""
        snapshots = [snapshot async for snapshot in self._conversation.aget_state_history(config)]
        end = cast(State, snapshots[0].values) if snapshots else start
        starts = {
            (state := cast(State, snapshot.values))["turn"]: state
            for snapshot in snapshots
            if snapshot.next == ("agent",) and snapshot.values["moves"] == 0
        }
        assert self._conversation.checkpointer not in (None, True, False)
        await self._conversation.checkpointer.adelete_thread(config["configurable"]["thread_id"])  # type: ignore[union-attr]
        said = [[m for m in end["messages"] if m.turn == turn and m.role == "assistant"] for turn in range(len(starts))]
        return History(
            beginning=start["world"],
            starts=tuple(starts[turn] for turn in sorted(starts)),
            grades=end["grades"],
            calls=tuple(tuple(call for message in own for call in message.tool_calls) for own in said),
            moves=tuple(len(own) for own in said),
            messages=end["messages"],
            trouble=trouble or end["reason"],
        )


@asynccontextmanager
async def golden_plays(scenarios: Iterable[Loaded]) -> AsyncIterator[Histories]:
    """Golden plays of these scenarios, whose worlds end with them."""
    histories = Histories(build_conversation())
    try:
        yield histories
    finally:
        await histories.close()
        await close_worlds(scenarios)
