"""Log-probabilities of a completion's tokens alone, on a CPU too, and no slower than need be."""

from __future__ import annotations

import trl.trainer.utils as trl_utils
from transformers import PreTrainedModel


def score_completions_only() -> None:
    """From now on, TRL's trainers of this process score no position of a prompt, whatever the device.

    Where there is no Triton, TRL scores every position and throws those of the prompts away, lest a compiler meet a new
    shape in every batch. A CPU compiles nothing, and prompts are nineteen twentieths of what it would score, each
    against the whole vocabulary.
    """
    setattr(trl_utils, "_use_triton", lambda device: True)  # noqa: B010  # asked there for nothing else


def score_side_by_side(model: PreTrainedModel) -> None:
    """From now on, the states that are scored against the vocabulary are first put next to each other in memory.

    Those of the last positions of several rows are not, and torch then multiplies row by row: on a CPU, in bfloat16,
    46 positions of 16 rows took fifteen times as long, one position of 28 rows hundreds of times.
    """
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(lambda _, given: (given[0].contiguous(), *given[1:]))
