"""Evaluation as training goes: greedy answers to the validation prompts and to the guards.

Validation prompts are graded by the scenario's own grader, which is not the reward: where the reward rises and the
grade falls, training has found a hole in the reward. Guards are other steps and plain questions that the base model
gets right. A part of an adapter's change often repairs the step as well as all of it does, and costs less elsewhere
(models between two sets of weights: Wortsman et al. 2022), so the smallest such part is looked for.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agentkit.records import Status
from agentkit.tune.general import GUARD_QUESTIONS
from agentkit.tune.prompt import Prompt
from agentkit.tune.trainer.generate import Decoding
from agentkit.tune.trainer.task import Task

_ALIKE = 8
"""Prompts from which on one and the same answer to all of them is a collapse."""
_LONGER = 2.0
"""Times the first length at which answers have exploded."""
_QUESTION_TOKENS = 48
_SMALLER = 0.8
"""Of one scale and the next that is tried."""


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
    scale: float = 1.0
    """Part of the adapter's change that was looked at."""
    guarded: int = 0
    """Guards that the base model gets right."""
    lost: int = 0
    """Of these, not any more."""

    @property
    def accuracy(self) -> float:
        return self.passed / self.graded if self.graded else 0.0

    @property
    def lost_share(self) -> float:
        return self.lost / self.guarded if self.guarded else 0.0

    def worth(self, max_loss: float) -> tuple[bool, float]:
        """What the best is chosen by: first that no more than `max_loss` of the guards is lost, then the accuracy;
        beyond that, less what was lost."""
        within = self.lost_share <= max_loss
        return within, self.accuracy if within else self.accuracy - self.lost_share


def guards_right(task: Task, scale: float) -> frozenset[str]:
    """The guards that are answered rightly with that part of the adapter's change; 0 asks the base model."""
    if not task.guards:
        return frozenset()
    texts = [text for text, _ in _answers(task, task.guards, scale)]
    return _right(task.guards, _grades(task, task.guards, texts)) | _questions_right(task, scale)


def evaluate(
    step: int, task: Task, base: Collection[str], scale: float = 1.0, *, unchanged: bool = False
) -> Evaluation:
    """Answer each prompt once, as the server would at temperature 0. `base`: the guards that the base model gets
    right. `unchanged`: the adapter holds no change yet, so that all of them are kept."""
    guards = task.guards if base and not unchanged else ()
    prompts = [*task.validation, *guards]
    answers = _answers(task, prompts, scale)
    grades = _grades(task, prompts, [text for text, _ in answers])
    asked = len(task.validation)
    right = _right(guards, grades[asked:]) | _questions_right(task, scale) if guards else frozenset(base)
    answers, known = answers[:asked], [grade for grade in grades[:asked] if grade in (Status.PASSED, Status.FAILED)]
    return Evaluation(
        step=step,
        passed=known.count(Status.PASSED),
        graded=len(known),
        length=sum(tokens for _, tokens in answers) / max(len(answers), 1),
        distinct=len({text for text, _ in answers}),
        scale=round(scale, 3),
        guarded=len(base),
        lost=len(set(base) - right),
    )


def evaluate_scaled(step: int, task: Task, base: Collection[str], beaten: float) -> Evaluation:
    """The whole change, or a smaller part of it: what a training does that is not needed for the step can only cost
    something elsewhere. The best of those that were tried, of equals the smallest.

    A smaller part repairs less. So by halving is found the smallest that repairs as much as the whole; where it loses
    too many guards, smaller ones are tried until one does not.

    `beaten`: the accuracy that a part must reach to be of use; below it none is looked for. Without guards nothing is
    known of a cost, and the whole change is taken.
    """
    limit = task.phase.max_loss
    tried: dict[float, Evaluation] = {}

    def look(scale: float) -> Evaluation:
        if scale not in tried:
            tried[scale] = _told(task, evaluate(step, task, base, scale))
        return tried[scale]

    whole = look(1.0)
    if base and whole.accuracy > beaten:
        scales = _scales(task.phase.least_scale)
        less = bisect_left(scales, True, key=lambda it: look(it).accuracy < whole.accuracy)
        for scale in [1.0, *scales][less:]:
            if look(scale).lost_share <= limit or look(scale).accuracy <= beaten:
                break
    return max(tried.values(), key=lambda it: (it.worth(limit), -it.scale))


def _scales(least: float) -> list[float]:
    """The parts that may be tried, largest first."""
    found = [_SMALLER]
    while found[-1] * _SMALLER >= least:
        found.append(found[-1] * _SMALLER)
    return [it for it in found if it >= least]


def _told(task: Task, it: Evaluation) -> Evaluation:
    task.progress.tell("part", **asdict(it))
    return it


def _answers(task: Task, prompts: Sequence[Prompt], scale: float) -> list[tuple[str, int]]:
    """The answer to each prompt, and how many tokens it has."""
    mine = task.ranks.part(prompts)
    decoding = Decoding(0.0, task.phase.max_tokens, task.phase.frequency_penalty)
    return _written(task, [task.ids[it.id] for it in mine], [it.schema_ for it in mine], decoding, scale)


def _written(
    task: Task, ids: Sequence[Sequence[int]], schemas: Sequence[Any], decoding: Decoding, scale: float
) -> list[tuple[str, int]]:
    """Answers to this process's part of the prompts, joined with those of the others."""
    groups = []
    if ids:
        with task.trainee.as_served(scale) as generator:
            groups = generator(ids, schemas, 1, decoding, task.phase.seed)
    return task.ranks.joined([(task.trainee.text(it.ids), len(it.ids)) for (it,) in groups])


def _said(task: Task, scale: float) -> list[str]:
    """Answers to the plain questions, which are asked as the certificate asks its own."""
    ids: list[Any] = [
        task.trainee.tokenizer.apply_chat_template(
            [{"role": "user", "content": it.ask}], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        for it in task.ranks.part(GUARD_QUESTIONS)
    ]
    return [text for text, _ in _written(task, ids, [None] * len(ids), Decoding(0.0, _QUESTION_TOKENS), scale)]


def _right(prompts: Sequence[Prompt], grades: Sequence[Status]) -> frozenset[str]:
    return frozenset(prompt.id for prompt, it in zip(prompts, grades, strict=True) if it is Status.PASSED)


def _questions_right(task: Task, scale: float) -> frozenset[str]:
    said = zip(GUARD_QUESTIONS, _said(task, scale), strict=True)
    return frozenset(f"question {it.id}" for it, text in said if it.passes(text))


def _grades(task: Task, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Status]:
    async def grade() -> list[Status]:
        return [(await prompt.grade(text)).status for prompt, text in zip(prompts, texts, strict=True)]

    return task.ranks.agreed(lambda: asyncio.run(grade()))


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
