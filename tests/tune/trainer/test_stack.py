"""An adapter and the one on top of which it was trained, as one: by the real program, PEFT and a small model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agentkit.errors import AgentkitError
from agentkit.tune.phase import ADAPTER, STACKED
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


def changes(*adapters: Path) -> dict[str, np.ndarray]:
    """Module → what these adapters change of its weights, added up."""
    from safetensors.numpy import load_file

    found: dict[str, np.ndarray] = {}
    for adapter in adapters:
        config = json.loads((adapter / "adapter_config.json").read_bytes())
        weights = load_file(adapter / "adapter_model.safetensors")
        for name, down in weights.items():
            if ".lora_A." in name:
                change = weights[name.replace(".lora_A.", ".lora_B.")] @ down * config["lora_alpha"] / config["r"]
                found[name] = found.get(name, 0.0) + change
    return found


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
    assert stack_adapters(phase, tiny, below, 6) == {"whole": 6, "rank": 6, "kept": pytest.approx(1.0)}
    stacked = phase / STACKED
    said = logits(tiny, stacked)
    assert torch.allclose(said, logits(tiny, below, top), atol=1e-4)
    assert not torch.allclose(said, logits(tiny, below), atol=1e-2)
    assert not torch.allclose(said, logits(tiny, top), atol=1e-2)
    assert json.loads((stacked / "adapter_config.json").read_bytes())["r"] == 6
    made = (stacked / "adapter_model.safetensors").stat().st_mtime_ns
    assert stack_adapters(phase, tiny, below, 6)["rank"] == 6
    assert (stacked / "adapter_model.safetensors").stat().st_mtime_ns == made, "made once"


def test_a_sum_of_more_rank_than_is_served_is_cut_to_what_is_nearest(tiny: Path, tmp_path: Path) -> None:
    phase = tmp_path / "0-sft"
    below, top = write_adapter(tiny, tmp_path / "below", 1), write_adapter(tiny, phase / ADAPTER, 2, r=2, lora_alpha=6)
    told = stack_adapters(phase, tiny, below, 4)
    assert (told["whole"], told["rank"]) == (6, 4)
    size = held = 0.0
    wanted, made = changes(below, top), changes(phase / STACKED)
    for name, change in wanted.items():
        left, sizes, right = np.linalg.svd(change, full_matrices=False)
        size, held = size + (sizes**2).sum(), held + (sizes[:4] ** 2).sum()
        np.testing.assert_allclose(made[name], left[:, :4] * sizes[:4] @ right[:4], atol=1e-5)
    assert told["kept"] == pytest.approx(held / size, abs=1e-4)
    assert 0.5 < told["kept"] < 0.99


def test_what_both_change_alike_is_cut_without_a_loss(tiny: Path, tmp_path: Path) -> None:
    phase = tmp_path / "0-sft"
    below, top = write_adapter(tiny, tmp_path / "below", 1), write_adapter(tiny, phase / ADAPTER, 1)
    assert stack_adapters(phase, tiny, below, 4) == {"whole": 8, "rank": 4, "kept": pytest.approx(1.0)}
    import torch

    assert torch.allclose(logits(tiny, phase / STACKED), logits(tiny, below, top), atol=1e-4)


def test_what_cannot_be_added_up_is_told(tiny: Path, tmp_path: Path) -> None:
    phase = tmp_path / "0-sft"
    write_adapter(tiny, phase / ADAPTER, 2)
    scaled = write_adapter(tiny, tmp_path / "scaled", 1, use_rslora=True)  # PEFT would write its sum with that scale
    with pytest.raises(AgentkitError, match="cannot be added up"):
        stack_adapters(phase, tiny, scaled, None)
    with pytest.raises(AgentkitError, match="cannot be added up"):
        stack_adapters(phase, tiny, scaled, 4)
    with pytest.raises(AgentkitError, match="cannot be added up"):
        stack_adapters(phase, tiny, tmp_path / "missing", None)
    assert {it.name for it in phase.iterdir()} <= {ADAPTER, "train.log", "progress.jsonl"}
