"""Two adapters of one model as one, whose change is the sum of theirs.

Its rank is the sum of theirs, too. Where that is more than servers take, the sum is cut to its largest directions,
layer by layer: no other change of that rank is nearer to it (Eckart and Young 1936).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM

from agentkit.errors import UsageError
from agentkit.files import write_json
from agentkit.tune.phase import ADAPTER, STACKED, STACKED_RESULT

_SUM = "default"
"""PEFT writes the adapter of this name into the folder itself, others below it."""


def stack(folder: Path, base: Path, below: Path, max_rank: int | None) -> None:
    """Write `stacked` of a phase's folder: its adapter, which was trained on top of `below`, and that one, cut to
    `max_rank` where the sum's rank is more. Then `stacked.json`: the `whole` rank of the sum, the `rank` that was
    written, and the share of the sum's squared norm that was `kept`.

    Raises UsageError where the two cannot be added up.
    """
    fresh = folder / f".{STACKED}.new"
    for left in (fresh, folder / STACKED):
        shutil.rmtree(left, ignore_errors=True)
    try:
        model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
        both = PeftModel.from_pretrained(model, str(below), adapter_name="below")
        both.load_adapter(str(folder / ADAPTER), adapter_name="top")
        both.add_weighted_adapter(["below", "top"], [1.0, 1.0], _SUM, combination_type="cat")
        _check_sum(both)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{folder / ADAPTER} and {below} cannot be added up: {error}") from None
    whole = both.peft_config[_SUM].r
    rank = min(whole, max_rank or whole)
    kept = _cut(both, rank) if rank < whole else 1.0
    both.save_pretrained(str(fresh), selected_adapters=[_SUM])
    os.rename(fresh, folder / STACKED)
    write_json(folder / STACKED_RESULT, {"whole": whole, "rank": rank, "kept": kept})


def _check_sum(both: PeftModel) -> None:
    """Raises ValueError where the sum is another change than the two make together."""
    for name, layer in both.named_modules():
        if isinstance(layer, LoraLayer):
            parts = [layer.get_delta_weight(part) for part in ("below", "top") if part in layer.lora_A]
            if not torch.allclose(layer.get_delta_weight(_SUM), sum(parts), rtol=1e-3, atol=1e-6):
                raise ValueError(f"{name}: PEFT's sum is not the sum of their changes")


def _cut(both: PeftModel, rank: int) -> float:
    """Leave the `rank` largest directions of the sum in each layer. Gives the share of its squared norm that they hold.

    Only the factors are decomposed: their product is as large as the layer.
    """
    size = held = 0.0
    for layer in both.modules():
        if isinstance(layer, LoraLayer):
            down, up = layer.lora_A[_SUM].weight, layer.lora_B[_SUM].weight
            left, right = torch.linalg.qr(up.data), torch.linalg.qr(down.data.T)
            turned, sizes, back = torch.linalg.svd(left.R @ right.R.T)
            up.data = left.Q @ (turned[:, :rank] * sizes[:rank])
            down.data = back[:rank] @ right.Q.T
            size, held = size + float(sizes.square().sum()), held + float(sizes[:rank].square().sum())
    config = both.peft_config[_SUM]
    config.r = config.lora_alpha = rank
    return held / size if size else 1.0
