"""What all of TRL's trainers are told alike, and where a killed training goes on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import torch
from transformers.trainer_utils import get_last_checkpoint

from agentkit.tune.phase import Phase

FOLDER = "checkpoints"
_REFERENCE = "ref"
"""Folder in which TRL's trainers keep the adapter of the start beside the one in training. They make that anew from the
start; where transformers finds the folder, it takes up nothing but what is in there, and not what was trained."""


def arguments(folder: Path, phase: Phase) -> dict[str, Any]:
    """Arguments of TRL's configurations. TRL's own defaults for them are made for large models on many GPUs."""
    return {
        "output_dir": str(folder / FOLDER),
        "learning_rate": phase.learning_rate,
        "lr_scheduler_type": "constant",
        "seed": phase.seed,
        "data_seed": phase.seed,
        "bf16": phase.dtype == "bfloat16",  # the adapter stays float32, and is rounded where it is computed with
        "fp16": False,
        "use_cpu": not torch.cuda.is_available(),
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": phase.evaluate_every,
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
    }


def newest(folder: Path) -> str | None:
    """The newest whole checkpoint; None where training begins. What was cut off while it was written is set aside."""
    checkpoints = folder / FOLDER
    if not checkpoints.is_dir():
        return None
    for entry in sorted(checkpoints.glob("checkpoint-*")):
        if not _whole(entry):
            aside = entry.with_name(f"broken-{entry.name}")
            shutil.rmtree(aside, ignore_errors=True)
            entry.rename(aside)
        else:
            shutil.rmtree(entry / _REFERENCE, ignore_errors=True)
    return get_last_checkpoint(str(checkpoints))


def updates_of(checkpoint: str | None) -> int:
    """Updates that were done when a checkpoint was written; 0 where there is none."""
    return int(checkpoint.rpartition("-")[2]) if checkpoint is not None else 0


def _whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end: the state of training is what is written last."""
    try:
        orjson.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return True
