"""Log-probabilities of a completion's tokens alone, on a CPU too."""

from __future__ import annotations

import trl.trainer.utils as trl_utils


def score_completions_only() -> None:
    """From now on, TRL's trainers of this process score no position of a prompt, whatever the device.

    Where there is no Triton, TRL scores every position and throws those of the prompts away, lest a compiler meet a new
    shape in every batch. A CPU compiles nothing, and prompts are nineteen twentieths of what it would score, each
    against the whole vocabulary.
    """
    setattr(trl_utils, "_use_triton", lambda device: True)  # noqa: B010  # asked there for nothing else
