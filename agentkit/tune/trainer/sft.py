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
from agentkit.tune.trainer.checkpoints import arguments
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.watch import Watch


def train_sft(task: Task) -> tuple[Watch, Mapping[str, Any]]:
    """Train, and say what happened. Raises UsageError where no prompt has a golden answer, or none that says
    anything, or one that the server could not write."""
    phase, trainee = task.phase, task.trainee
    if not any(it.golden is not None for it in task.train):
        raise UsageError(f"{phase.prompts}: no training prompt has a golden answer, so there is nothing to imitate")
    rows = [row for row in _rows(task) if any(row["completion_mask"])]
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


def _rows(task: Task) -> list[dict[str, list[int]]]:
    """Golden answers that a grammar holds, in the tokens in which the model comes to write them, since what is learned
    after those will be asked after those; then the others, in the tokenizer's."""
    trainee = task.trainee
    wanted = [(it, it.golden) for it in task.train if it.golden is not None]
    held = [(prompt, golden) for prompt, golden in wanted if prompt.schema_ is not None]
    ids, schemas = [task.ids[prompt.id] for prompt, _ in held], [prompt.schema_ for prompt, _ in held]
    with trainee.as_served() as generator:
        told = generator.dictated(ids, schemas, [golden for _, golden in held], task.phase.frequency_penalty)
    rows = [_row(it, answer.ids, answer.free) for it, answer in zip(ids, told, strict=True)]
    for prompt, golden in wanted:
        if prompt.schema_ is None:
            answer = [*trainee.tokenizer(golden, add_special_tokens=False)["input_ids"], trainee.end]
            rows.append(_row(task.ids[prompt.id], answer, [True] * len(answer)))
    return rows


def _row(prompt: Sequence[int], answer: Sequence[int], free: Sequence[bool]) -> dict[str, list[int]]:
    return {"input_ids": [*prompt, *answer], "completion_mask": [0] * len(prompt) + list(map(int, free))}
