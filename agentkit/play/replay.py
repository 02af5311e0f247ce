"""One turn of a recorded trial again, from just before it: what would the agent, or another one, have done here?

The conversation is given as it was recorded; the world is made again by making the recorded calls in a fresh one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentkit.errors import BudgetExhausted, UsageError, near_match
from agentkit.grade.text import shortened
from agentkit.play.conversation import Stage, State
from agentkit.play.converse import converse
from agentkit.play.disturbed import FaultyWorld
from agentkit.play.judgement import judge_trial
from agentkit.play.plan import Planned
from agentkit.play.rebuilt import same_answer
from agentkit.play.trial import Setting, open_stage, trial_world
from agentkit.records import Message, Party, Status, StepGrade, Stop, ToolCall, Trial, TrialKey, Verdict
from agentkit.scenario import Instance, Loaded, World
from agentkit.scenario.detours import Disturbed, ModelFault, ToolFault


@dataclass(frozen=True, slots=True)
class Sample:
    """What came of one more try."""

    messages: tuple[Message, ...]
    """The agent's and the tools', of this turn alone."""
    steps: tuple[StepGrade, ...]
    """All steps of the turn; none where the sample is invalid."""
    verdict: Verdict
    """`open`, or `invalid`."""
    stop: Stop
    fault: Party | None
    reason: str


@dataclass(frozen=True, slots=True)
class Replay:
    """Samples of one turn of a recorded trial."""

    trial: Trial
    turn: int
    """Index of the turn, from 0."""
    recorded: StepGrade
    """How the step went then."""
    differences: tuple[str, ...]
    """In words: calls that gave something else when they were made again, so that the world may not be what it was."""
    samples: tuple[Sample, ...]
    stopped: str = ""
    """Why there are fewer samples than were asked for."""


def place(trial: Trial, step: str) -> StepGrade:
    """The recorded grade of a step that can be replayed.

    Raises:
        UsageError: the trial has no such step, or nobody ever came to it.
    """
    grades = {grade.step: grade for grade in trial.steps}
    if step not in grades:
        raise UsageError(f"--at: the trial has no step {step!r}{near_match(step, grades)}")
    grade = grades[step]
    if grade.turn is None and grade.status is not Status.NOT_REACHED:
        raise UsageError(f"--at: {step} is a step of the whole conversation, and of no turn")
    if grade.turn is None or (grade.status is Status.NOT_REACHED and grade.turn not in _spoken(trial.messages)):
        raise UsageError(f"--at: {step} was not reached in this trial: {grade.reason}")
    if trial.fork is not None and grade.turn != trial.fork.turn:
        raise UsageError(f"--at: the trial is a fork of turn {trial.fork.turn + 1}, and {step} is not of that turn")
    return grade


async def replay(trial: Trial, step: str, loaded: Loaded, setting: Setting, samples: int, concurrency: int) -> Replay:
    """Sample the turn of a step `samples` times.

    Raises:
        UsageError: the step cannot be replayed, or the scenario does not have it at this place any more.
    """
    recorded = place(trial, step)
    assert recorded.turn is not None
    turn = recorded.turn
    disturbed = loaded.disturbed(trial.fork.variant if trial.fork else trial.key.variant, trial.key.instance)
    _check(disturbed.instance, turn, step)
    given = _given(trial.messages, turn)
    world = await _world(loaded, disturbed, setting, whole=trial.fork is None)
    try:
        differences = await _again(given, world)
        world, beginning = await _struck(world, loaded, disturbed, setting, whole=trial.fork is None)
        snapshot = await world.snapshot()
    finally:
        await world.close()
    start = State(turn=turn, moves=0, messages=given, world=snapshot, grades=(), stop=None, reason="")
    gate, stopped = asyncio.Semaphore(concurrency), ""

    async def one(number: int) -> Sample | None:
        nonlocal stopped
        async with gate:
            if stopped:
                return None
            try:
                return await _sample(trial, number, start, loaded, disturbed, setting, beginning)
            except BudgetExhausted as error:
                stopped = str(error)
                return None

    made = await asyncio.gather(*(one(number) for number in range(samples)))
    return Replay(trial, turn, recorded, differences, tuple(it for it in made if it is not None), stopped)


async def _sample(
    trial: Trial,
    number: int,
    start: State,
    loaded: Loaded,
    disturbed: Disturbed,
    setting: Setting,
    beginning: bytes | None,
) -> Sample:
    key = replace(trial.key, repeat=number)
    world = await _world(loaded, disturbed, setting, whole=trial.fork is None)
    if beginning is not None:
        world = _faulty(world, disturbed, beginning)
    stage = open_stage(
        Planned(number, key),
        loaded,
        setting,
        agent=setting.agent,
        instance=replace(disturbed.instance, turns=disturbed.instance.turns[: start["turn"] + 1]),
        world=world,
        seed=_seed(key, start["turn"], setting.seed),
        model_faults=tuple(it for it in disturbed.detours if isinstance(it, ModelFault)),
    )
    try:
        state, trouble = await _play(stage, setting, start)
    finally:
        await stage.world.close()
    verdict, stop, fault, reason = judge_trial(state, (), trouble, stage.trouble)
    verdict = verdict if verdict is Verdict.INVALID else Verdict.OPEN
    stage.span.finish(verdict)
    steps = () if verdict is Verdict.INVALID else state["grades"]
    return Sample(state["messages"][len(start["messages"]) :], steps, verdict, stop, fault, reason)


async def _play(stage: Stage, setting: Setting, start: State) -> tuple[State, str]:
    await stage.world.restore(start["world"])
    stage.turn_span = stage.span.turn(index=start["turn"], agent=stage.agent.name)
    return await converse(stage, setting.conversation, start)


async def _world(loaded: Loaded, disturbed: Disturbed, setting: Setting, *, whole: bool) -> World:
    """A fresh world. Faults strike from the first turn on; in a fork, only from the one that it played."""
    plain = disturbed if whole else Disturbed(disturbed.instance, disturbed.undisturbed)
    return await trial_world(loaded, plain, setting.limits.tool_seconds)


async def _struck(
    world: World, loaded: Loaded, disturbed: Disturbed, setting: Setting, *, whole: bool
) -> tuple[World, bytes | None]:
    """The world of a fork with its faults, and what they need: the snapshot of the beginning."""
    if whole or not _faults(disturbed):
        return world, None
    fresh = await _world(loaded, disturbed, setting, whole=False)
    try:
        beginning = await fresh.snapshot()
    finally:
        await fresh.close()
    return _faulty(world, disturbed, beginning), beginning


def _faulty(world: World, disturbed: Disturbed, beginning: bytes) -> World:
    return FaultyWorld(world, _faults(disturbed), disturbed.undisturbed.seed, beginning)


def _faults(disturbed: Disturbed) -> list[ToolFault]:
    return [detour for detour in disturbed.detours if isinstance(detour, ToolFault)]


async def _again(messages: Sequence[Message], world: World) -> tuple[str, ...]:
    """Make the recorded calls again; in words, each that gave something else."""
    asked: list[ToolCall] = []
    found = []
    for message in messages:
        asked += message.tool_calls
        call = next((it for it in asked if message.role == "tool" and it.id == message.tool_call_id), None)
        if call is None:
            continue
        asked.remove(call)
        result = await world.call(call.name, call.arguments)
        if not same_answer(result.content, message.content):
            then, now = shortened(message.content, 120), shortened(result.content, 120)
            found.append(f"in turn {message.turn + 1}, {call.name} answered {then}, and answers {now} now")
    return tuple(found)


def _given(messages: Sequence[Message], turn: int) -> tuple[Message, ...]:
    """All that was said before the agent's first move in a turn."""
    said = next(place for place, m in enumerate(messages) if m.turn == turn and m.role == "user")
    return tuple(messages[: said + 1])


def _spoken(messages: Sequence[Message]) -> set[int]:
    return {message.turn for message in messages if message.role == "user"}


def _check(instance: Instance, turn: int, step: str) -> None:
    there = [it.id for it in instance.turns[turn].steps] if turn < len(instance.turns) else []
    if step not in there:
        raise UsageError(f"--at: turn {turn + 1} of {instance.scenario} has no step {step!r} any more")


def _seed(key: TrialKey, turn: int, seed: int) -> int:
    text = f"{seed}/{key.scenario}/{key.variant}/{key.instance}/replay/{turn}/{key.repeat}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") >> 1
