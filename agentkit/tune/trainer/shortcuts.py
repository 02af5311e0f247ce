"""Whether what is computed together is what the model computes row by row.

The shortcuts of `packed.py` and `generate.py` ask that a token sees all that its mask says, at the position that it is
given. Models whose layers see a window, or keep a state in place of keys, do not work so and are computed plainly.
Whatever a model's configuration says, the shortcuts are tried on it before they are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel

from agentkit.tune.trainer.generate import Completion, Decoding, Generator

APART = 0.3
"""Nats a token, on average, that are too much: those of half precision differ by 0.05 where all is well, and those of a
token that sees too little or too much by nats."""
_TOKENS = 8
_FULL = "full_attention"


def sees_all(config: PretrainedConfig) -> bool:
    """Whether, by its configuration, each token of each layer sees all that came before it."""
    text = config.get_text_config()
    kinds = getattr(text, "layer_types", None)
    if kinds is not None:
        return all(kind == _FULL for kind in kinds)
    return getattr(text, "sliding_window", None) is None


def apart(model: PreTrainedModel, generator: Generator, prompts: Sequence[Sequence[int]], pad: int) -> float:
    """How far, in nats a token on average, what is written and scored together is from the model computed row by row.

    `prompts`: token ids of a few, of different length if possible.
    """
    groups = generator(prompts, [None] * len(prompts), 2, Decoding(1.0, _TOKENS), 0)
    rows = [(list(prompt), it) for prompt, group in zip(prompts, groups, strict=True) for it in group]
    with torch.no_grad(), _evaluating(model):
        alone = [_scores(model, [row], pad)[0] for row in rows]  # a lone row shares nothing
        together = _scores(model, rows, pad)
    written = [torch.tensor(it.logprobs) for _, it in rows]
    return max(_distance(alone, written), _distance(alone, together))


def _distance(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    return float((torch.cat(list(one)) - torch.cat(list(other))).abs().mean())


def _scores(model: PreTrainedModel, rows: Sequence[tuple[list[int], Completion]], pad: int) -> list[torch.Tensor]:
    """Log-probability of each token of the completions; prompts padded on the left, completions on the right."""
    left, right = max(len(prompt) for prompt, _ in rows), max(len(it.ids) for _, it in rows)
    ids = [[pad] * (left - len(prompt)) + prompt + list(it.ids) + [pad] * (right - len(it.ids)) for prompt, it in rows]
    mask = [[0] * (left - len(p)) + [1] * (len(p) + len(it.ids)) + [0] * (right - len(it.ids)) for p, it in rows]
    places = {"device": model.device}
    output: Any = model(input_ids=torch.tensor(ids, **places), attention_mask=torch.tensor(mask, **places))
    found = []
    for row, (_, it) in enumerate(rows):
        logits = output.logits[row, left - 1 : left - 1 + len(it.ids)].float().log_softmax(-1)
        found.append(logits.gather(1, torch.tensor(it.ids, **places)[:, None])[:, 0].cpu())
    return found


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
