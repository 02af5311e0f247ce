"""What becomes of a conversation that was played: verdict, grades and cost."""

from __future__ import annotations

from typing import cast

from agentkit.grade import not_reached
from agentkit.play.conversation import State
from agentkit.records import Message, Party, Status, StepGrade, Stop, Verdict
from agentkit.scenario import Instance


def judge_trial(
    state: State, outcome: tuple[StepGrade, ...], harness_trouble: str, tool_trouble: str = ""
) -> tuple[Verdict, Stop, Party | None, str]:
    """Verdict, stop, party at fault and reason."""
    stop = state["stop"]
    if tool_trouble:
        return Verdict.INVALID, Stop.INVALID, Party.TOOL, tool_trouble
    if harness_trouble:
        return Verdict.INVALID, Stop.INVALID, Party.HARNESS, harness_trouble
    if stop is Stop.USER_ERROR:
        return Verdict.INVALID, stop, Party.USER, state["reason"]
    if stop is Stop.INVALID:
        return Verdict.INVALID, stop, Party.INFRASTRUCTURE, state["reason"]
    if stop not in (None, Stop.USER_LEFT):
        return Verdict.FAILURE, stop, Party.AGENT, state["reason"]
    stop, reason = (Stop.COMPLETED, "") if stop is None else (stop, state["reason"])
    if any(grade.status is Status.FAILED for grade in outcome):
        return Verdict.FAILURE, stop, Party.AGENT, reason
    ungraded = [grade for grade in outcome if grade.status is Status.UNGRADED]
    if ungraded:
        fault = Party.HARNESS if any(grade.fault is Party.HARNESS for grade in ungraded) else Party.JUDGE
        return Verdict.INVALID, stop, fault, f"the outcome could not be judged: {ungraded[0].reason}"
    return Verdict.SUCCESS, stop, None, reason


def all_steps(instance: Instance, grades: tuple[StepGrade, ...], reason: str) -> tuple[StepGrade, ...]:
    """The grades, followed by the steps that were not reached or are void."""
    graded = {grade.step for grade in grades}
    missing = [
        not_reached(step, f"its turn never began: {reason}", index)
        for index, turn in enumerate(instance.turns)
        for step in turn.steps
        if step.id not in graded
    ]
    void = [not_reached(step, f"void: {why}") for step, why in instance.void]
    return (*grades, *missing, *void)


def cost_of(messages: tuple[Message, ...]) -> float | None:
    """US dollars of all the model calls behind these messages; None where any call's cost is not known."""
    costs = [message.call.cost for message in messages if message.call is not None]
    return None if None in costs else sum(cast(list[float], costs))
