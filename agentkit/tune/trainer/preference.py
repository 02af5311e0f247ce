"""Training on preferences: DPO on pairs of a better and a worse answer, KTO on answers with a thumb up or down.

What a grammar forces was nobody's choice, so no answer is better or worse for it: it is left out of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import or_
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from agentkit.errors import UsageError
from agentkit.tune.trainer.checkpoints import arguments
from agentkit.tune.trainer.grammar import Grammars, Schema
from agentkit.tune.trainer.model import Trainee
from agentkit.tune.trainer.preference_rows import read_preferences
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.watch import Watch

_MASKS = {
    "completion_mask": ("chosen_ids", "rejected_ids", "completion_ids"),
    "KL_completion_mask": ("KL_completion_ids",),
}
"""Mask → the answers whose rows it has, one field after the other."""
_ANSWERS = {"chosen": "chosen_ids", "rejected": "rejected_ids", "completion": "completion_ids"}
"""Text of an answer → its token ids."""


def train_preferences(task: Task) -> tuple[Watch, Mapping[str, Any]]:
    """Train, and say what happened. Raises UsageError where the preferences cannot be used."""
    phase = task.phase
    assert phase.preferences is not None, "checked when the phase was read"
    rows = read_preferences(Path(phase.preferences), phase.method, {prompt.id for prompt in task.train})
    updates = -(-len(rows) // phase.batch) * phase.epochs
    watch = Watch(task, updates)
    trainer = prepare(task, rows, watch)
    if not trainer.data_collator.any_open:
        raise UsageError(f"{phase.preferences}: the grammar leaves no choice in any answer: nothing can be learned")
    watch.train(trainer)
    return watch, {"rows": len(rows)}


def prepare(task: Task, rows: Sequence[Mapping[str, Any]], *callbacks: TrainerCallback) -> Any:
    """TRL's trainer for rows of preferences, which it has in the token ids that are served."""
    phase, trainee, ids = task.phase, task.trainee, task.ids
    texts = {
        name: trainee.tokenizer.decode(list(ids[name]), skip_special_tokens=False)
        for name in {r["prompt"] for r in rows}
    }
    dataset = Dataset.from_list([{**row, "prompt": texts[row["prompt"]]} for row in rows])
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
        "callbacks": list(callbacks),
    }
    trainer: Any
    if phase.method == "dpo":
        trainer = DPOTrainer(args=DPOConfig(**told), **shared)
    else:
        trainer = KTOTrainer(args=KTOConfig(**told), **shared)
    trainer.train_dataset = _as_served(trainer.train_dataset, rows, ids, trainee)
    schemas = {prompt.id: prompt.schema_ for prompt in task.train}
    answers = [
        (schemas[row["prompt"]], made[name])
        for row, made in zip(rows, trainer.train_dataset, strict=True)
        for name in _MASKS["completion_mask"]
        if name in made
    ]
    trainer.data_collator = OpenText(trainer.data_collator, trainee.generator.grammars, answers)
    return trainer


def _as_served(
    made: Dataset, rows: Sequence[Mapping[str, Any]], ids: Mapping[str, Sequence[int]], trainee: Trainee
) -> Dataset:
    """TRL's rows with the prompts' own token ids. It takes texts alone, and tokenizes them with what the tokenizer puts
    before any text: a second BOS, where the chat template begins with one. Where prompt and answer meet it may also cut
    tokens that the server never sees."""
    own: dict[tuple[int, ...], list[int]] = {}
    for row, it in zip(rows, made, strict=True):
        for text, name in _ANSWERS.items():
            if text in row:
                words = row[text].removesuffix(str(trainee.tokenizer.eos_token))
                own[tuple(it[name])] = [*trainee.tokenizer(words, add_special_tokens=False)["input_ids"], trainee.end]

    def served(it: Mapping[str, Any], place: int) -> dict[str, Any]:
        names = [name for names in _MASKS.values() for name in names if name in it]
        return {"prompt_ids": list(ids[rows[place]["prompt"]])} | {name: own[tuple(it[name])] for name in names}

    return made.map(served, with_indices=True)


class OpenText:
    """A collator of TRL's, less the tokens that the grammar forces.

    Args:
        answers: all that it will meet, each with its schema and in token ids. One that does not follow its schema, as
            a person may have written it, counts whole.
    """

    def __init__(self, collate: Any, grammars: Grammars, answers: Iterable[tuple[Schema, Sequence[int]]]) -> None:
        self._collate = collate
        self._open: dict[tuple[int, ...], tuple[bool, ...]] = {}
        for schema, ids in answers:
            found, known = _open(grammars, schema, ids), self._open.get(tuple(ids))
            self._open[tuple(ids)] = found if known is None else tuple(map(or_, found, known))

    @property
    def any_open(self) -> bool:
        return any(map(any, self._open.values()))

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = self._collate(rows)
        for mask, names in _MASKS.items():
            places = [(row["prompt_ids"], row[name]) for name in names for row in rows if name in row]
            for line, (prompt, answer) in enumerate(places):
                kept = torch.tensor(self._open[tuple(answer)], dtype=found[mask].dtype)
                found[mask][line, len(prompt) : len(prompt) + len(answer)] *= kept
        return found


def _open(grammars: Grammars, schema: Schema, ids: Sequence[int]) -> tuple[bool, ...]:
    try:
        return grammars.free(schema, ids)
    except UsageError:
        return (True,) * len(ids)
