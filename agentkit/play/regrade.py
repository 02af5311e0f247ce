"""Recorded trials, graded again as the scenarios and the graders are now; nobody is asked to play."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from agentkit.grade import MISSING, Judge, TurnRecord, grade_outcome, grade_turn, not_reached
from agentkit.grade.rewarded import CHECK as REWARD
from agentkit.play.conversation import State
from agentkit.play.judgement import all_steps, judge_trial
from agentkit.play.rebuilt import Rebuilt, rebuild, span_of_turn
from agentkit.play.trial import trial_world
from agentkit.play.witness import Witnessed, witness
from agentkit.records import Effect, Message, Party, Status, StepGrade, Stop, ToolSpec, Trial, TrialKey, Verdict
from agentkit.scenario import Check, Instance, Loaded, PlayTurn, Step, World
from agentkit.scenario.detours import Disturbed

S = TypeVar("S", Step, Check)


@dataclass(frozen=True, slots=True)
class Regraded:
    """A trial as it is graded now."""

    trial: Trial
    reworded: tuple[str, ...] = ()
    """Ids of the turns in which the user now says other words than the recorded ones."""


@dataclass(slots=True)
class Grader:
    """Grades recorded trials. `close` gives back the worlds that it asked for tools' defaults."""

    judge: Judge | None
    _idle: dict[str, World] = field(default_factory=dict)

    async def regrade(self, trial: Trial, loaded: Loaded, key: TrialKey) -> Regraded:
        """`key`: as which trial it is graded; its own, or for a conversation from elsewhere that of a scenario.

        A conversation that is no play of the scenario as it is now (turns were added, removed or moved) becomes
        invalid, the harness at fault: what was never played cannot be graded.
        """
        disturbed = loaded.disturbed(key.variant, key.instance)
        instance, turns = disturbed.instance, _turns(trial.messages)
        misfit = _misfit(turns, instance, cut=_cut(trial))
        if misfit:
            steps = [not_reached(step, misfit, i) for i, turn in enumerate(instance.turns) for step in turn.steps]
            return Regraded(
                replace(
                    trial,
                    key=key,
                    verdict=Verdict.INVALID,
                    fault=Party.HARNESS,
                    reason=misfit,
                    steps=(*steps, *(not_reached(step, f"void: {why}") for step, why in instance.void)),
                    outcome=(),
                    variables=instance.variables,
                )
            )
        idle = await self._world(loaded, disturbed)
        played = _graded_turns(trial, len(turns))
        rebuilt = Rebuilt()
        if _needs_world(trial, instance, played):
            rebuilt = await rebuild(loaded, disturbed, trial.messages, len(turns))
        spans: dict[int, list[str | None]] = defaultdict(list)
        for grade in trial.steps:
            if grade.turn is not None and grade.status is not Status.NOT_REACHED:
                spans[grade.turn].append(grade.span_id)
        grades: list[StepGrade] = []
        for index in range(played):
            so_far = tuple(message for message in trial.messages if message.turn <= index)
            span = span_of_turn(index, [message for message in so_far if message.turn == index], spans)
            record = TurnRecord(index, instance.turns[index], so_far, None, span, instance.variables)
            grades += await self._turn(record, idle, rebuilt, trial.final_state)
        final = trial.final_state if trial.final_state is not None else rebuilt.final
        outcome: tuple[StepGrade, ...] = ()
        if not _trouble(trial, Party.TOOL):
            outcome = await self._outcome(instance, trial.messages, final, rebuilt, idle.tools)
        return Regraded(
            _judged(trial, key, loaded, disturbed, tuple(grades), outcome, None if final is MISSING else final),
            tuple(turn.id for turn, said in zip(instance.turns, turns, strict=False) if turn.user != said),
        )

    async def close(self) -> None:
        idle, self._idle = self._idle, {}
        for world in idle.values():
            await world.close()

    async def _world(self, loaded: Loaded, disturbed: Disturbed) -> World:
        """A world that nothing is done in: it knows the defaults of its suite's tools."""
        folder = str(loaded.suite.folder)
        if folder not in self._idle:
            self._idle[folder] = await trial_world(loaded, disturbed)
        return self._idle[folder]

    async def _turn(self, record: TurnRecord, idle: World, rebuilt: Rebuilt, recorded: Any) -> list[StepGrade]:
        """The grades of a turn; ungraded where they rest on a state that is not known."""
        steps = record.turn.steps
        doubts = {
            step.id: doubt
            for step in steps
            if _rests_on_world(step)
            and (doubt := rebuilt.doubt(record.index, None if step.state is None else list(step.state), recorded))
        }
        state = rebuilt.states[record.index] if record.index < len(rebuilt.states) else None
        known = tuple(it for step in steps if (it := _known_of(step) if step.id in doubts else step) is not None)
        record = replace(record, turn=replace(record.turn, steps=known), state=state)
        graded = await grade_turn(record, idle.normalized, self.judge, idle.tools)
        return _settled(steps, graded, doubts, record)

    async def _outcome(
        self,
        instance: Instance,
        messages: Sequence[Message],
        final: Any,
        rebuilt: Rebuilt,
        tools: Mapping[str, ToolSpec],
    ) -> tuple[StepGrade, ...]:
        grade = partial(grade_outcome, judge=self.judge, tools=tools, variables=instance.variables)
        if final is not MISSING:
            return await grade(instance.outcome, messages, final)
        why = f"the world at the end was not recorded, and is not known: {rebuilt.trouble}"
        doubts = {check.id: why for check in instance.outcome if _rests_on_world(check)}
        known = [_known_of(check) if check.id in doubts else check for check in instance.outcome]
        graded = await grade([check for check in known if check is not None], messages, None)
        return tuple(_settled(instance.outcome, graded, doubts, None))


def _rests_on_world(step: Step | Check) -> bool:
    """Whether its grade may be another where the world is another: rewards see it."""
    return step.state is not None or (step.reply is not None and step.reply.reward is not None)


def _known_of(step: S) -> S | None:
    """What can be graded without the world of a step that rests on it: the plain conditions of a reply."""
    if step.reply is None:
        return None
    return step.model_copy(
        update={"reply": step.reply.model_copy(update={"reward": None, "at_least": None, "judge": None})}
    )


def _settled(
    steps: Sequence[Step | Check], graded: Sequence[StepGrade], doubts: Mapping[str, str], record: TurnRecord | None
) -> list[StepGrade]:
    """One grade for each step: of those in doubt, one that failed without the world being asked has failed."""
    made = {grade.step: grade for grade in graded}
    settled = []
    for step in steps:
        grade = made.get(step.id)
        if step.id in doubts and (grade is None or grade.status is not Status.FAILED):
            grade = _unknown(step, doubts[step.id], record)
        elif step.id in doubts and grade is not None and step.reply is not None:
            grade = replace(grade, expected=step.reply.model_dump(exclude_defaults=True))
        assert grade is not None, "what is not in doubt was graded"
        settled.append(grade)
    return settled


def _unknown(step: Step | Check, why: str, record: TurnRecord | None) -> StepGrade:
    return StepGrade(
        step=step.id,
        status=Status.UNGRADED,
        check="state" if step.state is not None else REWARD,
        reason=why,
        turn=None if record is None else record.index,
        skill=getattr(step, "skill", None),
        fault=Party.HARNESS,
        span_id=None if record is None else record.span_id,
    )


def _turns(messages: Sequence[Message]) -> list[str]:
    """What the user said in each turn, in order."""
    words: dict[int, list[str]] = defaultdict(list)
    for message in messages:
        if message.turn >= 0:
            words[message.turn] += [message.content] if message.role == "user" else []
    return ["\n".join(words[turn]) for turn in range(max(words, default=-1) + 1)]


def _misfit(said: Sequence[str], instance: Instance, *, cut: bool) -> str:
    """Why a conversation is no play of this instance, in words; '' where it is one."""
    expected: Sequence[PlayTurn] = instance.turns
    if len(said) > len(expected) or (len(said) < len(expected) and not cut):
        return (
            f"the recorded conversation is no play of the scenario as it is now: it has {len(said)} turns, "
            f"and the scenario {len(expected)}"
        )
    words = [turn.user for turn in expected]
    for place, heard in enumerate(said):
        if heard != words[place] and heard in words:
            now = words.index(heard)
            if now >= len(said) or said[now] != heard:
                return (
                    f"the recorded conversation is no play of the scenario as it is now: turn {place + 1} of it is the "
                    f"scenario's turn {now + 1} ({expected[now].id})"
                )
    return ""


def _cut(trial: Trial) -> bool:
    """Whether the conversation ended before its last turn may have begun."""
    return trial.stop is not Stop.COMPLETED


def _trouble(trial: Trial, party: Party) -> str:
    """What went wrong in the harness or a tool's server when the trial was played: no new grade makes it right."""
    if trial.stop is not Stop.INVALID or trial.fault is not party:
        return ""
    return "" if any(it.effect is Effect.SUPPRESSED for it in trial.disturbances) else trial.reason


def _graded_turns(trial: Trial, turns: int) -> int:
    """The turns that came to their end: where something else than the agent failed, the last one may not have."""
    last = [grade for grade in trial.steps if grade.turn == turns - 1]
    if _cut(trial) and last and all(grade.status is Status.NOT_REACHED for grade in last):
        return turns - 1
    return turns


def _needs_world(trial: Trial, instance: Instance, played: int) -> bool:
    return trial.final_state is None or any(
        _rests_on_world(step) for turn in instance.turns[:played] for step in turn.steps
    )


def _judged(
    trial: Trial,
    key: TrialKey,
    loaded: Loaded,
    disturbed: Disturbed,
    grades: tuple[StepGrade, ...],
    outcome: tuple[StepGrade, ...],
    final: Any,
) -> Trial:
    """The trial with its new grades, and the verdict that follows from them."""
    suppressed_before = any(it.effect is Effect.SUPPRESSED for it in trial.disturbances)
    stop = None if trial.stop is Stop.COMPLETED or suppressed_before else trial.stop
    witnessed = Witnessed()
    if disturbed.detours:
        witnessed = witness(disturbed, trial.messages, loaded.tools, cut=stop is not None)
    state = State(
        turn=len(grades), moves=0, messages=trial.messages, world=b"", grades=grades, stop=stop, reason=trial.reason
    )
    trouble = _trouble(trial, Party.HARNESS) or witnessed.suppressed
    verdict, ended, fault, reason = judge_trial(state, outcome, trouble, _trouble(trial, Party.TOOL))
    return replace(
        trial,
        key=key,
        verdict=verdict,
        stop=ended,
        fault=fault,
        reason=reason,
        steps=(*all_steps(disturbed.instance, grades, reason), *witnessed.grades),
        outcome=outcome,
        variables=disturbed.instance.variables,
        final_state=final,
        disturbances=witnessed.disturbances,
    )
