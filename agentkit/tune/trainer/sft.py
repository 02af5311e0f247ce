"""Supervised fine-tuning on golden answers: the warm start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from agentkit.errors import UsageError
from agentkit.tune.trainer.checkpoints import arguments
from agentkit.tune.trainer.model import Trainee
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.watch import Watch


def train_sft(task: Task) -> tuple[Watch, Mapping[str, Any]]:
    """Train, and say what happened. Raises UsageError where no prompt has a golden answer."""
    phase, trainee, ids = task.phase, task.trainee, task.ids
    rows = [_row(ids[prompt.id], prompt.golden, trainee) for prompt in task.train if prompt.golden is not None]
    if not rows:
        raise UsageError(f"{phase.prompts}: no training prompt has a golden answer, so there is nothing to imitate")
    updates = -(-len(rows) // phase.batch) * phase.epochs
    watch = Watch(task, updates)
    trainer = SFTTrainer(
        model=trainee.model,
        args=SFTConfig(
            **arguments(task.folder, phase),
            num_train_epochs=phase.epochs,
            per_device_train_batch_size=task.ranks.share(min(phase.batch, len(rows)), "sft_batch"),
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
