"""An adapter and the one on top of which it was trained, as one: by the real program, PEFT and a small model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.errors import AgentkitError
from agentkit.tune.phase import ADAPTER
from agentkit.tune.training import stack_adapters

pytestmark = pytest.mark.slow


def write_adapter(tiny: Path, folder: Path, seed: int, **config: object) -> Path:
    """One whose change is random, as PEFT writes it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    told: dict[str, object] = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), LoraConfig(**told | config))  # type: ignore[arg-type]
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    model.save_pretrained(str(folder))
    return folder


def logits(tiny: Path, *adapters: Path):  # type: ignore[no-untyped-def]
    """What the model says next, with the adapters merged one after the other."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny)
    for adapter in adapters:
        model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    with torch.no_grad():
        return model(torch.arange(1, 20)[None]).logits


def test_the_sum_is_both_changes(tiny: Path, tmp_path: Path) -> None:
    import torch

    phase = tmp_path / "0-sft"
    below, top = write_adapter(tiny, tmp_path / "below", 1), write_adapter(tiny, phase / ADAPTER, 2, r=2, lora_alpha=6)
    stacked = stack_adapters(phase, tiny, below)
    said = logits(tiny, stacked)
    assert torch.allclose(said, logits(tiny, below, top), atol=1e-4)
    assert not torch.allclose(said, logits(tiny, below), atol=1e-2)
    assert not torch.allclose(said, logits(tiny, top), atol=1e-2)
    assert json.loads((stacked / "adapter_config.json").read_bytes())["r"] == 6
    made = (stacked / "adapter_model.safetensors").stat().st_mtime_ns
    assert (stack_adapters(phase, tiny, below) / "adapter_model.safetensors").stat().st_mtime_ns == made, "made once"


def test_what_cannot_be_added_up_is_told(tiny: Path, tmp_path: Path) -> None:
    phase = tmp_path / "0-sft"
    write_adapter(tiny, phase / ADAPTER, 2)
    scaled = write_adapter(tiny, tmp_path / "scaled", 1, use_rslora=True)  # PEFT would write its sum with that scale
    with pytest.raises(AgentkitError, match="cannot be added up"):
        stack_adapters(phase, tiny, scaled)
    with pytest.raises(AgentkitError, match="cannot be added up"):
        stack_adapters(phase, tiny, tmp_path / "missing")
    assert {it.name for it in phase.iterdir()} <= {ADAPTER, "train.log", "progress.jsonl"}
