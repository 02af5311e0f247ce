"""The world after each turn of a recorded conversation, by making the recorded calls again in a fresh one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from agentkit.grade import MISSING, lookup
from agentkit.grade.text import shortened
from agentkit.play.trial import trial_world
from agentkit.records import Message, ToolCall
from agentkit.scenario import Loaded, World
from agentkit.scenario.detours import Disturbed
from agentkit.store.storable import json as stored_json
from agentkit.store.storable import text as stored_text
from agentkit.tracing.content import text as traced_text


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What is known of the world."""

    states: tuple[Any, ...] = ()
    """After each turn, as far as the calls gave what they gave when they were recorded."""
    trouble: str = ""
    """Why no later state is known, in words; '' where all are."""

    @property
    def final(self) -> Any:
        """`MISSING` where it is not known."""
        return MISSING if self.trouble or not self.states else self.states[-1]

    def doubt(self, turn: int, paths: Sequence[str] | None, recorded: Any) -> str:
        """Why it is not known what stood at these paths (None: anywhere) after a turn, in words; '' where it is.

        `recorded`: the world at the end, None where that was not recorded. Where the rebuilt world ends otherwise, its
        tools no longer do what they did.
        """
        if turn >= len(self.states):
            return f"the world after this turn is not known: {self.trouble}"
        if recorded is None or self.final is MISSING:
            return ""
        if paths is None and self.final != recorded:
            return (
                "the world after this turn is not known: made again, the recorded calls leave another world than the "
                "recording ends with"
            )
        for path in paths or ():
            now, then = lookup(self.final, path), lookup(recorded, path)
            if now != then:
                return (
                    f"the world after this turn is not known: made again, the recorded calls leave {path} "
                    f"{_shown(now)}, and the recording ends with {_shown(then)}"
                )
        return ""


async def rebuild(loaded: Loaded, disturbed: Disturbed, messages: Sequence[Message], turns: int) -> Rebuilt:
    """Make the calls of the first `turns` turns again. Detours that made a tool misbehave do it again."""
    try:
        world = await trial_world(loaded, disturbed)
    except Exception as error:
        return Rebuilt((), f"no world can be made: {type(error).__name__}: {error}")
    states: list[Any] = []
    try:
        for turn in range(turns):
            trouble = await remake([message for message in messages if message.turn == turn], world)
            if trouble:
                return Rebuilt(tuple(states), f"in turn {turn + 1}, {trouble}")
            states.append(as_stored(await world.state()))
    except Exception as error:  # a world's own defect
        return Rebuilt(tuple(states), f"the world failed: {type(error).__name__}: {error}")
    finally:
        await world.close()
    return Rebuilt(tuple(states))


async def remake(messages: Sequence[Message], world: World) -> str:
    """Make recorded calls again; in words, what came of the first one that went otherwise, '' where none did."""
    asked: list[ToolCall] = []
    for message in messages:
        asked += message.tool_calls
        if message.role != "tool":
            continue
        call = next((call for call in asked if call.id == message.tool_call_id), None)
        if call is None:
            return f"an answer of {message.name or 'a tool'} was recorded and no call that it answers"
        asked.remove(call)
        result = await world.call(call.name, call.arguments)
        if not same_answer(result.content, message.content):
            return (
                f"{call.name} answered {shortened(message.content, 120)} when it was recorded, "
                f"and answers {shortened(result.content, 120)} now"
            )
    return ""


def same_answer(now: str, recorded: str) -> bool:
    """Whether a tool says what it said; texts are cut and cleaned on their way to a store or a trace.

    Two ways to write the same JSON are the same answer: tools outside agentkit space it as they like.
    """
    if recorded in (now, stored_text(now), traced_text(now)):
        return True
    try:
        return bool(orjson.loads(now) == orjson.loads(recorded))
    except orjson.JSONDecodeError:
        return False


def as_stored(state: Any) -> Any:
    """A state as the store gives it back."""
    return orjson.loads(stored_json(state))


def _shown(value: Any) -> str:
    return "missing" if value is MISSING else shortened(orjson.dumps(value, default=str).decode(), 80)


def span_of_turn(index: int, messages: Sequence[Message], spans: Mapping[int, Sequence[str | None]]) -> str | None:
    """The `invoke_agent` span of a turn: the one that graded steps name and no message has."""
    own = {message.span_id for message in messages}
    return next((span for span in spans.get(index, ()) if span is not None and span not in own), None)
