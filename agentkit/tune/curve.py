"""How much each further example buys: nested parts of the training prompts, every larger one holding the smaller."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.errors import UsageError
from agentkit.tune.prompt import Prompt, Split


def nested(prompts: Sequence[Prompt], sizes: Sequence[int]) -> dict[int, tuple[Prompt, ...]]:
    """Size → the first so many training prompts, taken from every variant in turn, and all the validation prompts.

    Raises:
        UsageError: a size is below 1 or beyond the training prompts, or there are fewer than two different sizes.
    """
    train = _in_turns([prompt for prompt in prompts if prompt.split is Split.TRAIN])
    rest = tuple(prompt for prompt in prompts if prompt.split is not Split.TRAIN)
    for size in sizes:
        if not 1 <= size <= len(train):
            raise UsageError(f"--curve: found {size}, expected numbers of examples from 1 to {len(train)}")
    if len(set(sizes)) < 2:
        raise UsageError(
            f"--curve: found {', '.join(map(str, sizes)) or 'nothing'}, expected two sizes or more: 4,8,16"
        )
    return {size: (*train[:size], *rest) for size in sorted(set(sizes))}


def cut(prompts: Sequence[Prompt], examples: int) -> tuple[Prompt, ...]:
    """The prompts of one point of the curve; all of them where there are no more examples."""
    train = sum(prompt.split is Split.TRAIN for prompt in prompts)
    return tuple(prompts) if examples >= train else nested(prompts, [examples, train])[examples]


def _in_turns(train: Sequence[Prompt]) -> list[Prompt]:
    """The first of every variant and step, then the second of each, and so on."""
    seen: dict[tuple[str, str, str], int] = {}
    ranked = []
    for place, prompt in enumerate(train):
        key = (prompt.scenario, prompt.variant, prompt.step)
        ranked.append((seen.get(key, 0), place, prompt))
        seen[key] = seen.get(key, 0) + 1
    return [prompt for _, _, prompt in sorted(ranked, key=lambda it: it[:2])]
