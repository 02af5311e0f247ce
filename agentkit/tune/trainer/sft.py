"""Supervised fine-tuning on golden answers: the warm start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from agentkit.errors import UsageError
from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Prompt
from agentkit.tune.trainer.checkpoints import arguments
from agentkit.tune.trainer.model import Trainee
from agentkit.tune.trainer.progress import Progress
from agentkit.tune.trainer.watch import Watch


def train_sft(
    folder: Path,
    phase: Phase,
    trainee: Trainee,
    train: Sequence[Prompt],
    validation: Sequence[Prompt],
    ids: Mapping[str, Sequence[int]],
    progress: Progress,
) -> tuple[Watch, Mapping[str, Any]]:
    """Train, and say what happened. Raises UsageError where no prompt has a golden answer."""
    rows = [_row(ids[prompt.id], prompt.golden, trainee) for prompt in train if prompt.golden is not None]
    if not rows:
        raise UsageError(f"{phase.prompts}: no training prompt has a golden answer, so there is nothing to imitate")
    updates = -(-len(rows) // phase.batch) * phase.epochs
    watch = Watch(folder, phase, trainee, validation, ids, progress, updates)
    trainer = SFTTrainer(
        model=trainee.model,
        args=SFTConfig(
            **arguments(folder, phase),
            num_train_epochs=phase.epochs,
            per_device_train_batch_size=min(phase.batch, len(rows)),
            max_length=None,
            completion_only_loss=True,
            packing=False,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=trainee.tokenizer,
        callbacks=[watch],
    )
    watch.train(trainer)
    return watch, {"rows": len(rows)}


def _row(prompt: Sequence[int], golden: str, trainee: Trainee) -> dict[str, list[int]]:
    answer = [*trainee.tokenizer(golden, add_special_tokens=False)["input_ids"], trainee.end]
    return {"input_ids": [*prompt, *answer], "completion_mask": [0] * len(prompt) + [1] * len(answer)}
