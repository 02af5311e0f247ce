"""Training on preferences: DPO on pairs of a better and a worse answer, KTO on answers with a thumb up or down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from agentkit.errors import UsageError, near_match
from agentkit.tune.trainer.checkpoints import arguments
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.watch import Watch

_FIELDS: Mapping[str, Mapping[str, type]] = {
    "dpo": {"prompt": str, "chosen": str, "rejected": str},
    "kto": {"prompt": str, "completion": str, "label": bool},
}


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
        "per_device_train_batch_size": min(phase.batch, len(rows)),
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


def read_preferences(file: Path, method: str, known: set[str]) -> list[dict[str, Any]]:
    """The rows of a file of preferences.

    Raises:
        UsageError: it cannot be read, a row is not as it should be, all labels are alike, or there are none.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    rows = [_row(line, f"{file}:{number}", method, known) for number, line in enumerate(lines, start=1)]
    if not rows:
        raise UsageError(f"{file}: holds no preference")
    if method == "kto" and len({row["label"] for row in rows}) == 1:
        raise UsageError(f"{file}: all {len(rows)} labels are {rows[0]['label']}; KTO needs answers of both kinds")
    return rows


def _row(line: bytes, place: str, method: str, known: set[str]) -> dict[str, Any]:
    fields = _FIELDS[method]
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{place}: not JSON: {error}") from None
    if not isinstance(row, dict) or set(row) != set(fields):
        found = sorted(row) if isinstance(row, dict) else type(row).__name__
        raise UsageError(f"{place}: found {found}, expected an object with {sorted(fields)}")
    for name, kind in fields.items():
        if not isinstance(row[name], kind):
            raise UsageError(f"{place}: {name}: found {row[name]!r}, expected {kind.__name__}")
    if row["prompt"] not in known:
        raise UsageError(
            f"{place}: prompt: no training prompt is called {row['prompt']!r}{near_match(row['prompt'], known)}"
        )
    if method == "dpo" and row["chosen"] == row["rejected"]:
        raise UsageError(f"{place}: chosen and rejected are the same answer")
    return row
