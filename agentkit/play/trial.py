"""One trial, from its key to its record."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from agentkit.config import Limits
from agentkit.errors import WorldError
from agentkit.grade import Judge, grade_outcome
from agentkit.play.agent import Agent
from agentkit.play.conversation import Conversation, Stage, State, usage
from agentkit.play.converse import converse, final_state
from agentkit.play.disturbed import FaultyWorld
from agentkit.play.judgement import all_steps, cost_of, judge_trial
from agentkit.play.limited import LimitedWorld
from agentkit.play.plan import Planned, trial_seed
from agentkit.play.user import Users
from agentkit.play.witness import Witnessed, witness
from agentkit.records import (
    Disturbance,
    Message,
    Party,
    RunId,
    StepGrade,
    Stop,
    Trial,
    TrialId,
    Usage,
    Verdict,
)
from agentkit.scenario import BrokenWorld, Instance, Loaded, NoPlaceError, PythonWorldFactory, World
from agentkit.scenario.detours import Disturbed, ModelFault, ToolFault
from agentkit.tracing import Tracing
from agentkit.tracing import attributes as names

_NO_TOOLS = PythonWorldFactory([])
"""The world of a suite that defines none."""


class Forking(Protocol):
    """Plays the planned trials that are forks."""

    async def play(self, planned: Planned, loaded: Loaded, setting: Setting) -> Trial:
        """As `play_trial`."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What all trials of a run have in common."""

    run: RunId
    agent: Agent
    judge: Judge | None
    limits: Limits
    seed: int
    tracing: Tracing
    conversation: Conversation
    users: Users = field(default_factory=Users)
    forks: Forking | None = None
    """None where whole conversations are played."""


@dataclass(frozen=True, slots=True)
class _Played:
    """A conversation that is over."""

    state: State
    world: Any
    """The world at the end, plain JSON."""
    harness_trouble: str
    """What went wrong in the harness itself; '' where nothing did."""

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.state["messages"]


@dataclass(frozen=True, slots=True)
class _Graded:
    """What a conversation is worth."""

    verdict: Verdict
    stop: Stop
    fault: Party | None
    reason: str
    steps: tuple[StepGrade, ...]
    outcome: tuple[StepGrade, ...]
    disturbances: tuple[Disturbance, ...]


async def play_trial(planned: Planned, loaded: Loaded, setting: Setting) -> Trial:
    """Play and grade one trial.

    Raises:
        BudgetExhausted: a hard limit was reached; the trial is abandoned, to be played again on resume.
        NotRecorded: a user that may only repeat itself has nothing recorded to say.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    try:
        disturbed = loaded.disturbed(planned.key.variant, planned.key.instance)
    except NoPlaceError as error:  # in the words of this instance, while another's had one: the run goes on
        return without_place(planned, setting, str(error), started)
    stage = await _stage(planned, loaded, disturbed, setting)
    played = await _played(stage, setting.conversation)
    graded = await _graded(stage, played, disturbed, loaded)
    _tell(stage, played, graded)
    return Trial(
        id=TrialId(uuid.uuid4().hex[:12]),
        run=setting.run,
        index=planned.index,
        key=planned.key,
        verdict=graded.verdict,
        stop=graded.stop,
        messages=played.messages,
        steps=graded.steps,
        outcome=graded.outcome,
        variables=stage.instance.variables,
        usage=usage(played.messages),
        model_calls=sum(message.call is not None for message in played.messages),
        cost=cost_of(played.messages),
        started_at=started.isoformat(timespec="milliseconds"),
        duration=time.monotonic() - clock,
        trace_id=stage.span.trace_id,
        conversation_id=stage.conversation_id,
        fault=graded.fault,
        reason=graded.reason,
        final_state=played.world,
        disturbances=graded.disturbances,
    )


async def _played(stage: Stage, conversation: Conversation) -> _Played:
    """The whole conversation; its world is closed."""
    try:
        state, harness_trouble = await converse(stage, conversation)
        return _Played(state, await final_state(stage), harness_trouble)
    finally:
        await stage.world.close()


async def _graded(stage: Stage, played: _Played, disturbed: Disturbed, loaded: Loaded) -> _Graded:
    """The turns' grades are in the state already: the outcome's and the detours' join them, then the verdict."""
    state = played.state
    outcome: tuple[StepGrade, ...] = ()
    if not stage.trouble:
        outcome = await grade_outcome(
            stage.instance.outcome,
            played.messages,
            played.world,
            stage.judge,
            tools=loaded.tools,
            variables=stage.instance.variables,
        )
    witnessed = Witnessed()
    if disturbed.detours:
        witnessed = witness(disturbed, played.messages, loaded.tools, cut=state["stop"] is not None)
    own = stage.world.trouble if isinstance(stage.world, FaultyWorld) else ""
    trouble = own or played.harness_trouble or witnessed.suppressed
    verdict, stop, fault, reason = judge_trial(state, outcome, trouble, "" if own else stage.trouble)
    steps = (*all_steps(stage.instance, state["grades"], reason), *witnessed.grades)
    return _Graded(verdict, stop, fault, reason, steps, outcome, witnessed.disturbances)


def _tell(stage: Stage, played: _Played, graded: _Graded) -> None:
    """End the trial's trace."""
    for grade in graded.steps[len(played.state["grades"]) :]:  # the others are on their turns' spans
        stage.span.grade(grade)
    for grade in graded.outcome:
        stage.span.grade(grade, outcome=True)
    stage.span.finish(
        graded.verdict,
        played.messages,
        graded.stop.error,
        fault=graded.fault,
        reason=graded.reason,
        grades=len(graded.steps) + len(graded.outcome),
        disturbances=graded.disturbances,
    )


def without_place(planned: Planned, setting: Setting, reason: str, started: datetime) -> Trial:
    """An invalid trial in which nothing was said."""
    return Trial(
        id=TrialId(uuid.uuid4().hex[:12]),
        run=setting.run,
        index=planned.index,
        key=planned.key,
        verdict=Verdict.INVALID,
        stop=Stop.INVALID,
        messages=(),
        steps=(),
        outcome=(),
        variables={},
        usage=Usage(),
        model_calls=0,
        cost=None,
        started_at=started.isoformat(timespec="milliseconds"),
        duration=0.0,
        fault=Party.HARNESS,
        reason=reason,
    )


async def _stage(planned: Planned, loaded: Loaded, disturbed: Disturbed, setting: Setting) -> Stage:
    return open_stage(
        planned,
        loaded,
        setting,
        agent=setting.agent,
        instance=disturbed.instance,
        world=await trial_world(loaded, disturbed, setting.limits.tool_seconds),
        seed=trial_seed(planned.key, setting.seed),
        model_faults=tuple(detour for detour in disturbed.detours if isinstance(detour, ModelFault)),
    )


def open_stage(
    planned: Planned,
    loaded: Loaded,
    setting: Setting,
    *,
    agent: Agent,
    instance: Instance,
    world: World,
    seed: int,
    model_faults: tuple[ModelFault, ...],
) -> Stage:
    """What a trial works with, its trace begun."""
    conversation_id = str(uuid.uuid4())
    return Stage(
        key=planned.key,
        instance=instance,
        agent=agent,
        world=world,
        policy=loaded.suite.policy,
        judge=setting.judge,
        limits=setting.limits,
        span=setting.tracing.trial(
            conversation_id=conversation_id,
            scenario=planned.key.scenario,
            variant=planned.key.variant,
            index=planned.index,
            agent=setting.agent.name,
            facts={
                names.RUN_SEED: setting.seed,
                names.DETERMINISTIC: setting.agent.deterministic,
                names.SCENARIO_HASH: loaded.hash,
                names.INSTANCE: planned.key.instance,
                names.REPEAT: planned.key.repeat,
            },
        ),
        conversation_id=conversation_id,
        seed=seed,
        model_faults=model_faults,
        user=setting.users.of(loaded),
    )


async def trial_world(
    loaded: Loaded, disturbed: Disturbed, tool_seconds: float | None = Limits().tool_seconds
) -> World:
    """The trial's own world, its tools misbehaving as the detours want it, and held to what a call may take."""
    try:
        world: World = await (loaded.suite.world or _NO_TOOLS).create(disturbed.instance.world)
    except WorldError as error:
        return BrokenWorld(loaded.tools, error)
    world = LimitedWorld(world, tool_seconds)
    faults = [detour for detour in disturbed.detours if isinstance(detour, ToolFault)]
    return FaultyWorld(world, faults, disturbed.undisturbed.seed, await world.snapshot()) if faults else world
