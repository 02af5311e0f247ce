"""What one training is made of, whichever method it uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Prompt
from agentkit.tune.trainer.model import Trainee
from agentkit.tune.trainer.progress import Progress
from agentkit.tune.trainer.ranks import ALONE, Ranks


@dataclass(frozen=True, slots=True)
class Task:
    """A phase with all that it names loaded."""

    folder: Path
    """Where everything is written."""
    phase: Phase
    trainee: Trainee
    train: Sequence[Prompt]
    validation: Sequence[Prompt]
    guards: Sequence[Prompt]
    """Other steps, which the model does right; may be empty."""
    ids: Mapping[str, Sequence[int]]
    """Prompt id → token ids."""
    progress: Progress
    ranks: Ranks = ALONE
    """The processes that train together."""
