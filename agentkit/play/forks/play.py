"""One fork, from a checkpoint of a right history to its record."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agentkit.errors import WorldError
from agentkit.grade import not_reached
from agentkit.play.conversation import Stage, State, usage
from agentkit.play.converse import converse, final_state
from agentkit.play.disturbed import FaultyWorld
from agentkit.play.forks.golden import NOTHING, Histories, History
from agentkit.play.forks.shared import Moves, SharingAgent
from agentkit.play.judgement import cost_of, judge_trial
from agentkit.play.plan import ForkPoint, Planned
from agentkit.play.trial import Setting, open_stage, trial_world, without_place
from agentkit.play.trouble import agent_trouble
from agentkit.play.witness import Witnessed, witness
from agentkit.records import (
    Fork,
    ForkKind,
    Message,
    Status,
    StepGrade,
    Trial,
    TrialId,
    Verdict,
)
from agentkit.scenario import Instance, Loaded, NoPlaceError, World
from agentkit.scenario.detours import Disturbed, ModelFault, ToolFault, UserDetour

_OPEN = "a fork plays no whole conversation"


@dataclass(frozen=True, slots=True)
class Forks:
    """What the forks of a run have in common."""

    histories: Histories
    moves: Moves

    async def play(self, planned: Planned, loaded: Loaded, setting: Setting) -> Trial:
        """Play and grade one turn. Raises as `play_trial` does."""
        assert planned.fork is not None
        point = planned.fork
        started, clock = datetime.now(UTC), time.monotonic()
        try:
            disturbed = loaded.disturbed(point.variant, planned.key.instance)
        except NoPlaceError as error:
            nowhere = Fork(point.variant, point.turn, 0, point.kind, point.serves)
            return replace(without_place(planned, setting, str(error), started), fork=nowhere)
        history = await self.histories.of(loaded, point.history, planned.key.instance)
        wrong = history.wrong_before(point.turn)
        start = NOTHING if wrong else history.starts[point.turn]
        given = start["messages"]
        inner = await trial_world(
            loaded, Disturbed(disturbed.instance, disturbed.undisturbed), setting.limits.tool_seconds
        )
        agent = SharingAgent(setting.agent, self.moves, f"{loaded.id}/{planned.key.instance}/{planned.key.repeat}")
        stage = open_stage(
            planned,
            loaded,
            setting,
            agent=agent,
            instance=_until(disturbed.instance, point.turn),
            world=_faulty(inner, disturbed, history),
            seed=_seed(planned, setting.seed, given),
            model_faults=tuple(it for it in disturbed.detours if isinstance(it, ModelFault)),
        )
        try:
            state, trouble = await _sample(stage, setting, start, inner, point, wrong)
            after = await final_state(stage)
        finally:
            await stage.world.close()
        own = state["messages"][len(given) :]
        witnessed = _witness(disturbed, state["messages"], own, point, loaded)
        verdict, stop, fault, reason = judge_trial(state, (), trouble or witnessed.suppressed, stage.trouble)
        if verdict is not Verdict.INVALID:
            verdict, reason = Verdict.OPEN, reason or _OPEN
        steps = (*_steps(disturbed.instance, state["grades"], point), *witnessed.grades)
        graded = {grade.step for grade in state["grades"]}
        for grade in steps:
            if grade.step not in graded:  # the others are on the turn's span
                stage.span.grade(grade)
        stage.span.finish(verdict, state["messages"], stop.error, fault=fault, reason=reason, grades=len(steps))
        return Trial(
            id=TrialId(uuid.uuid4().hex[:12]),
            run=setting.run,
            index=planned.index,
            key=planned.key,
            verdict=verdict,
            stop=stop,
            messages=state["messages"],
            steps=steps,
            outcome=(),
            variables=disturbed.instance.variables,
            usage=usage(own),
            model_calls=sum(message.call is not None for message in own),
            cost=cost_of(own),
            started_at=started.isoformat(timespec="milliseconds"),
            duration=time.monotonic() - clock,
            trace_id=stage.span.trace_id,
            conversation_id=stage.conversation_id,
            fault=fault,
            reason=reason,
            final_state=after,
            disturbances=witnessed.disturbances,
            fork=Fork(point.variant, point.turn, len(given), point.kind, point.serves, agent.shared),
        )


async def _sample(
    stage: Stage, setting: Setting, start: State, world: World, point: ForkPoint, wrong: str
) -> tuple[State, str]:
    """The agent plays one turn in a new thread, from the history's checkpoint and in a world as the history left it."""
    if wrong:
        return start, f"no right history: {wrong}"
    stage.turn_span = stage.span.turn(index=point.turn, agent=stage.agent.name)
    try:
        await world.restore(start["world"])
        branch: State = {**start, "grades": (), "world": await stage.world.snapshot()}
    except Exception as error:  # a defect of the world
        stage.trouble = str(error) if isinstance(error, WorldError) else ""
        return start, agent_trouble(error)[1]
    return await converse(stage, setting.conversation, branch)


def _faulty(world: World, disturbed: Disturbed, history: History) -> World:
    """The world with its tools misbehaving; faults count their occasions from where the fork begins."""
    faults = [detour for detour in disturbed.detours if isinstance(detour, ToolFault)]
    return FaultyWorld(world, faults, disturbed.undisturbed.seed, history.beginning) if faults else world


def _until(instance: Instance, turn: int) -> Instance:
    """The instance as if it ended with a turn."""
    return replace(instance, turns=instance.turns[: turn + 1])


def _seed(planned: Planned, seed: int, given: Sequence[Message]) -> int:
    """Of everything drawn at random in a fork, 31 bits; equal where equal histories are given, so that what the agent
    does is one sample until the forks differ."""
    said = repr([(m.role, m.content, m.tool_calls) for m in given])
    key = planned.key
    text = f"{seed}/{key.scenario}/{key.instance}/{key.repeat}/{said}"
    digest = hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def _steps(instance: Instance, grades: Sequence[StepGrade], point: ForkPoint) -> list[StepGrade]:
    """All steps in playing order: those of other turns are due in the conversation, and not reached in this fork."""
    graded = {grade.step: grade for grade in grades}
    found = []
    for index, turn in enumerate(instance.turns):
        why = "given: the golden agent played this turn" if index < point.turn else "another fork plays this turn"
        found += [graded.get(step.id) or not_reached(step, why, index) for step in turn.steps]
    return found + [not_reached(step, f"void: {why}") for step, why in instance.void]


def _witness(
    disturbed: Disturbed, messages: Sequence[Message], own: Sequence[Message], point: ForkPoint, loaded: Loaded
) -> Witnessed:
    """Users may have strayed at any time up to now; faults had their occasion in this turn alone.

    The steps that a detour adds over a whole conversation are due where it has its place, and nowhere else.
    """
    users = tuple(it for it in disturbed.detours if isinstance(it, UserDetour))
    faults = tuple(it for it in disturbed.detours if not isinstance(it, UserDetour))
    strayed = witness(replace(disturbed, detours=users), messages, loaded.tools, cut=True)
    struck = witness(replace(disturbed, detours=faults), own, loaded.tools, cut=False)
    grades = (*strayed.grades, *struck.grades) if point.kind is ForkKind.DETOUR else ()
    return Witnessed(
        (*strayed.disturbances, *struck.disturbances),
        tuple(g if g.status is Status.NOT_REACHED else replace(g, turn=point.turn) for g in grades),
    )
