"""The learnability preflight: what the model can do already decides how it is best taught.

The model is sampled at the training prompts. Where all samples of a group are wrong, reinforcement has nothing to
climb, and golden answers come first; where they differ, it has; where all are right, there is nothing to train.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from agentkit.errors import NotJudged, UsageError, near_match
from agentkit.grade import Rubric
from agentkit.measure import pass_at_k, wilson
from agentkit.records import Status
from agentkit.tune.prompt import Prompt

Method = Literal["none", "sft", "grpo", "sft+grpo", "dpo", "kto"]
METHODS: tuple[Method, ...] = get_args(Method)
Sampler = Callable[[Sequence[Prompt], int, int], Awaitable[Sequence[Sequence[str]]]]
"""(prompts, how many, seed) → so many answers of the current model to each prompt, in order."""

_VARY = 0.25
"""Share of groups that must differ within, so that enough of what is sampled teaches something."""
_SAME = 1e-9
"""Rewards closer than this are one."""
_FEWEST = 2
"""Answers that a group needs, so that anything can differ within."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of the model."""

    text: str
    right: bool
    """As the scenario's own grader says."""
    reward: float | None
    """The rubric's total; None where no part applied, or there is no rubric."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What the model did at each prompt."""

    groups: tuple[tuple[Sample, ...], ...]
    """Answers by prompt."""
    seed: int = 0
    prompts: tuple[str, ...] = ()
    """Ids, in the order of the groups."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What people said, as far as there is anything."""

    pairs: int = 0
    """One answer preferred to another, at the same prompt."""
    thumbs: int = 0
    """Answers that somebody liked or disliked."""
    liked: int = 0
    """Of the thumbs."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the decision is made from."""

    groups: int
    samples: int
    """Answers in each group; of the smallest where they differ."""
    pass_rate: float
    low: float
    high: float
    """Wilson's 95 % interval, as if all answers were independent; those of one prompt are not quite."""
    pass_at: tuple[float, ...]
    """pass@k for k = 1, 2, 4 ... up to `samples`."""
    all_right: int
    """Groups in which every answer is right."""
    all_wrong: int
    """Groups in which none is."""
    flat: int
    """Groups whose rewards are all the same: they teach reinforcement nothing."""
    mean_reward: float | None

    @property
    def varied(self) -> int:
        """Groups whose rewards differ."""
        return self.groups - self.flat


@dataclass(frozen=True, slots=True)
class Decision:
    """How to train, and why."""

    method: Method
    why: str
    figures: Figures
    advised: Method = field(default="none")
    """What the figures say, where somebody chose otherwise."""

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        figures = {**asdict(self.figures), "pass_at": list(self.figures.pass_at), "varied": self.figures.varied}
        return {"method": self.method, "advised": self.advised, "why": self.why, "figures": figures}


async def sample(
    prompts: Sequence[Prompt], sampler: Sampler, n: int, seed: int, rubric: Rubric | None = None
) -> Samples:
    """Ask the current model `n` times at each prompt, grade and score every answer.

    Raises:
        UsageError: fewer than two samples, no prompts, or the sampler gave another number of answers.
        RewardError: a reward failed at an answer.
    """
    if n < _FEWEST:
        raise UsageError(f"samples: found {n}, expected at least {_FEWEST}: one answer differs from nothing")
    if not prompts:
        raise UsageError("preflight: expected at least one prompt")
    texts = await sampler(prompts, n, seed)
    if [len(own) for own in texts] != [n] * len(prompts):
        counts = sorted({len(own) for own in texts})
        raise UsageError(
            f"preflight: expected {n} answers to each of {len(prompts)} prompts, found {len(texts)} × {counts}"
        )
    flat = [(prompt, text) for prompt, own in zip(prompts, texts, strict=True) for text in own]
    totals: list[float | None] = [None] * len(flat)
    if rubric is not None:
        steps = [prompt.reward_step(text) for prompt, text in flat]
        totals = [scored.total for scored in await asyncio.to_thread(rubric.score_all, steps)]
    graded = [
        Sample(text, (await prompt.grade(text)).status is Status.PASSED, total)
        for (prompt, text), total in zip(flat, totals, strict=True)
    ]
    groups = tuple(tuple(graded[place : place + n]) for place in range(0, len(graded), n))
    return Samples(groups, seed, tuple(prompt.id for prompt in prompts))


def figures_of(samples: Samples) -> Figures:
    """Raises NotJudged where nothing was sampled."""
    if not samples.groups or any(len(group) < _FEWEST for group in samples.groups):
        raise NotJudged(f"preflight: expected at least {_FEWEST} answers at each prompt: without them nothing is known")
    sizes = [len(group) for group in samples.groups]
    right = [sum(it.right for it in group) for group in samples.groups]
    low, high = (float(end) for end in wilson(sum(right), sum(sizes)))
    attempts = [1]
    while attempts[-1] * 2 <= min(sizes):
        attempts.append(attempts[-1] * 2)
    rewards = [it.reward for group in samples.groups for it in group if it.reward is not None]
    return Figures(
        groups=len(sizes),
        samples=min(sizes),
        pass_rate=sum(right) / sum(sizes),
        low=low,
        high=high,
        pass_at=tuple(pass_at_k(right, sizes, k) for k in attempts),
        all_right=sum(count == size for count, size in zip(right, sizes, strict=True)),
        all_wrong=sum(count == 0 for count in right),
        flat=sum(_spread(group) <= _SAME for group in samples.groups),
        mean_reward=sum(rewards) / len(rewards) if rewards else None,
    )


def _spread(group: Sequence[Sample]) -> float:
    """How far rewards lie apart; where there are none, whether answers are right stands for them."""
    rewards = [it.reward for it in group if it.reward is not None]
    rewards = rewards or [float(it.right) for it in group]
    return max(rewards) - min(rewards)


def decide(samples: Samples, preferences: Preferences | None = None, override: str | None = None) -> Decision:
    """How to train. `override` names a method that is taken whatever the figures say, which is then told.

    Raises:
        UsageError: `override` is no method, or asks for preferences that are not there.
        NotJudged: nothing was sampled.
    """
    found = preferences or Preferences()
    figures = figures_of(samples)
    advised, why = _advised(figures, found)
    if override is None:
        return Decision(advised, why, figures, advised)
    if override not in METHODS:
        raise UsageError(
            f"--method: found {override!r}, expected one of {', '.join(METHODS)}{near_match(override, METHODS)}"
        )
    chosen: Method = next(method for method in METHODS if method == override)
    _check_possible(chosen, found)
    if chosen == advised:
        return Decision(chosen, f"Asked for, and advised. {why}", figures, advised)
    return Decision(chosen, f"Asked for; the figures advise {_named(advised)}. {why}", figures, advised)


def _advised(it: Figures, preferences: Preferences) -> tuple[Method, str]:
    rate = (
        f"{it.pass_rate:.0%} of the answers are right ({it.low:.0%} to {it.high:.0%}), "
        f"pass@{it.samples if len(it.pass_at) == 1 else 2 ** (len(it.pass_at) - 1)} is {it.pass_at[-1]:.0%}"
    )
    if it.all_right == it.groups:
        return "none", f"Nothing to train: all {it.samples} answers at each of {it.groups} prompts are right."
    if preferences.pairs:
        pairs = f"There are {preferences.pairs} pairs of a better and a worse answer"
        return "dpo", f"{pairs}, which DPO learns from directly; {rate}."
    if preferences.thumbs:
        disliked = preferences.thumbs - preferences.liked
        thumbs = f"There are {preferences.liked} liked and {disliked} disliked answers and no pairs"
        return "kto", f"{thumbs}, which is what KTO learns from; {rate}."
    differ = f"rewards differ within {it.varied} of {it.groups} groups of {it.samples}"
    if it.all_wrong == it.groups:
        start = f"No answer at any of {it.groups} prompts is right in {it.samples} tries"
        return "sft+grpo", f"{start}: golden answers first (SFT), so that GRPO has something to prefer; {differ}."
    if it.varied < _VARY * it.groups:
        return "sft+grpo", (
            f"Only {it.varied} of {it.groups} groups of {it.samples} differ within, which leaves reinforcement "
            f"little to climb: golden answers first (SFT), then GRPO; {rate}."
        )
    return "grpo", f"The model finds right answers by itself: {rate}, and {differ}, so GRPO can prefer the better ones."


def _check_possible(method: Method, preferences: Preferences) -> None:
    if method == "dpo" and not preferences.pairs:
        raise UsageError("--method dpo: there are no pairs of a better and a worse answer to the same prompt")
    if method == "kto" and not 0 < preferences.liked < preferences.thumbs:
        raise UsageError(
            f"--method kto: expected liked and disliked answers, found {preferences.liked} liked "
            f"and {preferences.thumbs - preferences.liked} disliked"
        )


def _named(method: Method) -> str:
    return "not to train" if method == "none" else method
