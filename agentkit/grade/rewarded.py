"""A reward as a condition of a scenario's reply: `reply: {reward: "code:tests_pass", at_least: 0.8}`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from agentkit.errors import JudgeError, RewardError, SandboxError
from agentkit.grade.judge import Judge
from agentkit.grade.judging import use_judge
from agentkit.grade.reply import Condition
from agentkit.grade.reward import RewardStep
from agentkit.grade.rubric import Scored, load_rubric
from agentkit.records import Message, ToolSpec
from agentkit.scenario.model import Reply, Step

CHECK = "reply.reward"


def moment_of(
    reply: Reply,
    step: Step | None,
    messages: Sequence[Message],
    answer: str,
    *,
    state: Any,
    tools: Mapping[str, ToolSpec],
    variables: Mapping[str, Any],
) -> RewardStep:
    """An answer of a trial as a reward sees it: the conversation up to the agent's last message, and what it said."""
    at = max((i for i, message in enumerate(messages) if message.role == "assistant"), default=len(messages))
    last = messages[at] if at < len(messages) else Message("assistant", "")
    return RewardStep(
        prompt=tuple(messages[:at]),
        completion=answer,
        calls=last.tool_calls,
        reply=answer,
        reasoning=last.reasoning,
        expected=None if step is None else _without_reward(step, reply),
        tools=tools,
        world=state,
        golden=reply.golden,
        variables=variables,
        tokens=(last.call.usage.output_tokens or None) if last.call is not None else None,
        name="" if step is None else step.id,
    )


async def reward_condition(reply: Reply, moment: RewardStep, judge: Judge | None) -> Condition:
    """Whether the reply's reward gives an answer enough. Rewards that ask a judge are lent the trial's.

    Raises JudgeError where the reward says nothing of this answer, or what it says cannot be used: no grade is better
    than a wrong one.
    """
    assert reply.reward is not None, "the caller has looked"
    wanted = 1.0 if reply.at_least is None else reply.at_least
    try:
        rubric = load_rubric(reply.reward)
        with nullcontext() if judge is None else use_judge(judge):
            scored = await asyncio.to_thread(rubric.score, moment)
    except (RewardError, SandboxError) as error:
        raise JudgeError(f"the reward {reply.reward} cannot be used: {error}") from error
    total = scored.total
    if total is None or scored.unjudged:
        why = "; ".join(f"{name}: {reason}" for name, reason in scored.left_out.items())
        raise JudgeError(f"the reward {reply.reward} does not say enough of this answer: {why}")
    return Condition(CHECK, total >= wanted - 1e-9, f"{reply.reward} gives {total:.3g} of {wanted:g}{_parts(scored)}")


def _without_reward(step: Step, reply: Reply) -> Step:
    """The step as a reward sees it: one that asks the scenario's grader must not be asked by it again."""
    return step.model_copy(update={"reply": reply.model_copy(update={"reward": None, "at_least": None})})


def _parts(scored: Scored) -> str:
    if len(scored.parts) < 2:
        return ""
    return f" ({', '.join(f'{name} {value:.3g}' for name, value in scored.parts.items())})"
