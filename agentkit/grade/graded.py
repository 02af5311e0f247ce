"""The scenario's own grader as a reward: what a step expects is said once, and counts in trials and in training."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from agentkit.errors import JudgeError
from agentkit.grade.judging import current_judge
from agentkit.grade.reward import SECONDS, RewardStep, Value, mark
from agentkit.grade.steps import TurnRecord, grade_turn
from agentkit.records import Message, Status, StepGrade, ToolSpec
from agentkit.scenario import PlayTurn
from agentkit.scenario.detours import with_defaults
from agentkit.scenario.model import Order


def graded(
    *, points: float = 1.0, in_parts: bool = False, order: Order = "any", seconds: float = SECONDS
) -> Callable[[RewardStep], Awaitable[Value]]:
    """A reward that holds a completion against the expected step as a scenario's trial would.

    It gives 1 where the step passes and 0 where it fails, or, `in_parts`, the grade's score: the share that is right.
    `order` is that of the calls: with `any`, a completion that makes further calls fails the call step; with `subset`
    it may. A `state` does not apply, for it is not known what the completion leads to, nor does reasoning where none is
    shown; a call's expected `result` is let be.

        as_the_scenario_says = graded(points=20)
    """

    async def grade(step: RewardStep) -> Value:
        found = await grade_step(step, order)
        if found is None or found.status is Status.NOT_REACHED:
            return None
        if found.status is Status.UNGRADED:
            raise JudgeError(found.reason)
        return found.score if in_parts else found.status is Status.PASSED

    here = sys._getframe(1).f_globals["__name__"]  # the file of rewards that asks for it, whose part it is
    grade.__doc__ = f"The scenario's own grade of the step{', in parts' if in_parts else ''}."
    return mark(grade, points=points, seconds=seconds, module=here)


async def grade_step(step: RewardStep, order: Order = "any") -> StepGrade | None:
    """The grade of a completion by its expected step, and the reason in words; None where nothing is expected, or a
    state, which a completion alone cannot show.

    Raises ConfigError where the step needs a judge and none is configured.
    """
    expected = step.expected
    if expected is None or expected.state is not None:
        return None
    if expected.call is not None and expected.call.result is not None:
        expected = expected.model_copy(update={"call": expected.call.model_copy(update={"result": None})})
    judge = current_judge() if expected.reply is not None and expected.reply.judge is not None else None
    index = max((message.turn for message in step.prompt), default=-1) + 1
    said = Message("assistant", step.reply, index, step.calls, reasoning=step.reasoning)
    turn = PlayTurn("completion", "", order, (expected,))
    record = TurnRecord(index, turn, (*step.prompt, said), step.world)
    (grade,) = await grade_turn(record, partial(_normalized, step.tools), judge, step.tools)
    return grade


def _normalized(tools: Mapping[str, ToolSpec], name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return with_defaults(tools.get(name), arguments)
