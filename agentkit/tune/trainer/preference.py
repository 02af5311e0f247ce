"""Training on preferences: DPO on pairs of a better and a worse answer, KTO on answers with a thumb up or down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from agentkit.tune.trainer.checkpoints import arguments
from agentkit.tune.trainer.preference_rows import read_preferences
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.watch import Watch


def train_preferences(task: Task) -> tuple[Watch, Mapping[str, Any]]:
    """Train, and say what happened. Raises UsageError where the preferences cannot be used."""
    phase, trainee, ids = task.phase, task.trainee, task.ids
    assert phase.preferences is not None, "checked when the phase was read"
    rows = read_preferences(Path(phase.preferences), phase.method, {prompt.id for prompt in task.train})
    texts = {
        name: trainee.tokenizer.decode(list(ids[name]), skip_special_tokens=False)
        for name in {r["prompt"] for r in rows}
    }
    dataset = Dataset.from_list([{**row, "prompt": texts[row["prompt"]]} for row in rows])
    updates = -(-len(rows) // phase.batch) * phase.epochs
    watch = Watch(task, updates)
    told = {
        **arguments(task.folder, phase),
        "num_train_epochs": phase.epochs,
        "per_device_train_batch_size": task.ranks.share(min(phase.batch, len(rows)), "batch"),
        "max_length": None,  # else long prompts are dropped without a word
        "beta": phase.beta,
    }
    shared: dict[str, Any] = {
        "model": trainee.model,
        "train_dataset": dataset,
        "processing_class": trainee.tokenizer,
        "callbacks": [watch],
    }
    trainer: Any
    if phase.method == "dpo":
        trainer = DPOTrainer(args=DPOConfig(**told), **shared)
    else:
        trainer = KTOTrainer(args=KTOConfig(**told), **shared)
    watch.train(trainer)
    return watch, {"rows": len(rows)}
