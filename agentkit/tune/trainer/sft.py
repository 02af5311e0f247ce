"""Supervised fine-tuning on golden answers: the warm start.

What a grammar forces is written whatever the model thinks of it, so nothing of it is taught: to learn it would move the
model far, for no answer's sake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from agentkit.errors import UsageError
from agentkit.tune.prompt import Prompt
from agentkit.tune.trainer.checkpoints import arguments
from agentkit.tune.trainer.model import Trainee
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.watch import Watch


def train_sft(task: Task) -> tuple[Watch, Mapping[str, Any]]:
    """Train, and say what happened. Raises UsageError where no prompt has a golden answer, or none that says
    anything, or one that the server could not write."""
    phase, trainee, ids = task.phase, task.trainee, task.ids
    known = [_row(it, ids[it.id], it.golden, trainee) for it in task.train if it.golden is not None]
    if not known:
        raise UsageError(f"{phase.prompts}: no training prompt has a golden answer, so there is nothing to imitate")
    rows = [row for row in known if any(row["completion_mask"])]
    if not rows:
        raise UsageError(f"{phase.prompts}: the grammar leaves no choice in any golden answer: nothing can be learned")
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


def _row(prompt: Prompt, ids: Sequence[int], golden: str, trainee: Trainee) -> dict[str, list[int]]:
    answer = [*trainee.tokenizer(golden, add_special_tokens=False)["input_ids"], trainee.end]
    try:
        free = trainee.generator.grammars.free(prompt.schema_, answer)
    except UsageError as error:
        raise UsageError(f"prompt {prompt.id}: the golden answer {golden!r}: {error}") from error
    return {"input_ids": [*ids, *answer], "completion_mask": [0] * len(ids) + list(map(int, free))}
