"""What all of TRL's trainers are told alike, and where a killed training goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from transformers.trainer_utils import get_last_checkpoint

from agentkit.tune.phase import Phase

FOLDER = "checkpoints"


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
        if not (entry / "trainer_state.json").is_file() or not (entry / "rng_state.pth").is_file():
            os.rename(entry, entry.with_name(f"broken-{entry.name}"))
    return get_last_checkpoint(str(checkpoints))
