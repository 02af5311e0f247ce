"""What a training will take, as far as it can be told beforehand, and whether its prompts fit the model at all."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.errors import UsageError
from agentkit.tune.corrupt import limit_of
from agentkit.tune.prompt import Prompt, Split
from agentkit.tune.split import Frozen

_SHOWN = 3


class Forecast(Frozen):
    """Tokens, time and cost."""

    prompt_tokens: int
    """Of all training prompts together."""
    longest_prompt: int
    """Tokens."""
    golden_tokens: int
    longest_golden: int
    seconds: float | None = None
    """None where nothing like it was ever timed."""
    dollars: float | None = None
    basis: str
    """In words, what time and cost are reckoned from."""


def forecast(
    prompts: Sequence[Prompt],
    tokens: Sequence[tuple[int, int]],
    *,
    context: int,
    seconds: float | None = None,
    dollars: float | None = None,
    basis: str = "nothing like it was timed yet",
) -> Forecast:
    """From the token counts of every prompt and its golden answer, in order.

    Args:
        context: tokens that the model takes, prompt and answer together.

    Raises:
        UsageError: the counts are not of these prompts, none is for training, or a prompt leaves no room for an answer.
    """
    if len(tokens) != len(prompts):
        raise UsageError(f"forecast: found token counts of {len(tokens)} prompts, expected {len(prompts)}")
    _check_room(prompts, tokens, context)
    train = [counts for prompt, counts in zip(prompts, tokens, strict=True) if prompt.split is Split.TRAIN]
    if not train:
        raise UsageError("forecast: none of the prompts is for training")
    return Forecast(
        prompt_tokens=sum(prompt for prompt, _ in train),
        longest_prompt=max(prompt for prompt, _ in train),
        golden_tokens=sum(golden for _, golden in train),
        longest_golden=max(golden for _, golden in train),
        seconds=seconds,
        dollars=dollars,
        basis=basis,
    )


def _check_room(prompts: Sequence[Prompt], tokens: Sequence[tuple[int, int]], context: int) -> None:
    """Every prompt with the longest answer that may be served, and every golden answer within that."""
    counted = list(zip(prompts, tokens, strict=True))
    long = [
        f"{prompt.id} has {count} tokens and may answer with {limit_of(prompt)}"
        for prompt, (count, _) in counted
        if count + limit_of(prompt) > context
    ]
    if long:
        raise UsageError(
            f"{len(long)} of {len(prompts)} prompts are longer than the model's context of {context} tokens: "
            f"{'; '.join(long[:_SHOWN])}"
        )
    cut = [
        f"{prompt.id}: {golden} tokens, and the agent's max_tokens is {limit_of(prompt)}"
        for prompt, (_, golden) in counted
        if golden > limit_of(prompt)
    ]
    if cut:
        raise UsageError(f"{len(cut)} golden answers are longer than the agent may answer: {'; '.join(cut[:_SHOWN])}")
