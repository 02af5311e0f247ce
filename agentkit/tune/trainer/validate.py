"""Evaluation as training goes: greedy answers to the validation prompts, graded by the scenario's own grader.

The grader is not the reward. Where the reward rises and the grade falls, training has found a hole in the reward.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.records import Status
from agentkit.tune.prompt import Prompt
from agentkit.tune.trainer.generate import Decoding
from agentkit.tune.trainer.task import Task

_ALIKE = 8
"""Prompts from which on one and the same answer to all of them is a collapse."""
_LONGER = 2.0
"""Times the first length at which answers have exploded."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How the model does at one point of its training."""

    step: int
    passed: int
    graded: int
    length: float
    """Mean tokens of an answer."""
    distinct: int
    """Different answers."""

    @property
    def accuracy(self) -> float:
        return self.passed / self.graded if self.graded else 0.0


def evaluate(step: int, task: Task) -> Evaluation:
    """Answer each prompt once, as the server would at temperature 0."""
    trainee, prompts, phase = task.trainee, task.validation, task.phase
    with trainee.as_served() as generator:
        written = generator(
            [task.ids[prompt.id] for prompt in prompts],
            [prompt.schema_ for prompt in prompts],
            1,
            Decoding(0.0, phase.max_tokens, phase.frequency_penalty),
            phase.seed,
        )
    texts = [trainee.text(group[0].ids) for group in written]
    grades = asyncio.run(_grades(prompts, texts))
    known = [grade for grade in grades if grade in (Status.PASSED, Status.FAILED)]
    return Evaluation(
        step=step,
        passed=known.count(Status.PASSED),
        graded=len(known),
        length=sum(len(group[0].ids) for group in written) / max(len(written), 1),
        distinct=len(set(texts)),
    )


async def _grades(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Status]:
    return [(await prompt.grade(text)).status for prompt, text in zip(prompts, texts, strict=True)]


def alarm(evaluations: Sequence[Evaluation], rewards: Sequence[float]) -> str:
    """Why training should stop for what its answers have become, in words; '' where all is well.

    `rewards`: mean total reward of each update so far.
    """
    first, last = evaluations[0], evaluations[-1]
    if last.graded >= _ALIKE and last.distinct == 1 and first.distinct > 1:
        return f"collapse: one and the same answer to all {last.graded} validation prompts"
    if last.length > _LONGER * max(first.length, 1.0):
        return f"answers grew from {first.length:.0f} to {last.length:.0f} tokens on average"
    best = max(evaluations, key=lambda it: it.accuracy)
    earlier, later = rewards[: len(rewards) // 2], rewards[len(rewards) // 2 :]
    if earlier and later and best.accuracy - last.accuracy > 0.2 and _mean(later) > _mean(earlier):
        return (
            f"the reward rose from {_mean(earlier):.2f} to {_mean(later):.2f} while the scenario's grader fell from "
            f"{best.accuracy:.0%} to {last.accuracy:.0%}: the reward pays for something else"
        )
    return ""


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
