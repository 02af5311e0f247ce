"""Two adapters of one model as one, whose change is the sum of theirs and whose rank is the sum of theirs, too."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM

from agentkit.errors import UsageError
from agentkit.tune.phase import ADAPTER, STACKED

_SUM = "default"
"""PEFT writes the adapter of this name into the folder itself, others below it."""


def stack(folder: Path, base: Path, below: Path) -> None:
    """Write `stacked` of a phase's folder: its adapter, which was trained on top of `below`, and that one.

    Raises UsageError where the two cannot be added up.
    """
    fresh = folder / f".{STACKED}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
        both = PeftModel.from_pretrained(model, str(below), adapter_name="below")
        both.load_adapter(str(folder / ADAPTER), adapter_name="top")
        both.add_weighted_adapter(["below", "top"], [1.0, 1.0], _SUM, combination_type="cat")
        _check_sum(both)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{folder / ADAPTER} and {below} cannot be added up: {error}") from None
    both.save_pretrained(str(fresh), selected_adapters=[_SUM])
    os.rename(fresh, folder / STACKED)


def _check_sum(both: PeftModel) -> None:
    """Raises ValueError where the sum is another change than the two make together."""
    for name, layer in both.named_modules():
        if isinstance(layer, LoraLayer):
            parts = [layer.get_delta_weight(part) for part in ("below", "top") if part in layer.lora_A]
            if not torch.allclose(layer.get_delta_weight(_SUM), sum(parts), rtol=1e-3, atol=1e-6):
                raise ValueError(f"{name}: PEFT's sum is not the sum of their changes")
