"""An adapter of the embedded model: random numbers, small, in PEFT's form; scored by the real program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from agentkit.serve import embedded_model
from agentkit.serve.adapter_folder import PROBE, AdapterFolder
from agentkit.serve.model_hash import file_hash
from agentkit.serve.probe import Probe, make_probe
from agentkit.serve.weights import model_tensors
from agentkit.tune import publish
from tests.tune.small_lora import lora_config, make_card, write_lora

RANK = 4
TARGETS = ("q_proj", "v_proj")


def write_real_lora(folder: Path, rename: Callable[[str], str] = lambda module: module, seed: int = 1) -> Path:
    """PEFT's output; `rename` gives the name under which a module's tensors are written."""
    chance = np.random.default_rng(seed)
    tensors = {}
    for name, tensor in sorted(model_tensors(embedded_model()).items()):
        module = name.removesuffix(".weight")
        if module.endswith(TARGETS):
            out, width = tensor.shape
            key = f"base_model.model.{rename(module)}"
            tensors[f"{key}.lora_A.weight"] = (chance.normal(size=(RANK, width)) / width**0.5).astype(np.float32)
            tensors[f"{key}.lora_B.weight"] = chance.normal(scale=0.8, size=(out, RANK)).astype(np.float32)
    config = lora_config(r=RANK, lora_alpha=RANK, target_modules=list(TARGETS), task_type="CAUSAL_LM")
    return write_lora(folder, config=config, tensors=tensors)


def real_adapter(folder: Path) -> AdapterFolder:
    """Published with its probe."""
    base, source = embedded_model(), write_real_lora(folder / "trained")
    make_probe(base, source, source / PROBE)
    return publish(source, folder / "adapters", make_card(base), base_folder=base)


def renamed_adapter(folder: Path, probe: Path) -> AdapterFolder:
    """The same, but its layers are numbered 1000 and more, as none of the model's is: vLLM loads it, and applies
    nothing. Its probe is the right adapter's."""

    source = write_real_lora(folder / "renamed", lambda module: module.replace(".layers.", ".layers.100"))
    known = Probe.model_validate_json(probe.read_bytes())
    weights = file_hash(source / "adapter_model.safetensors")
    (source / PROBE).write_text(known.model_copy(update={"weights": weights}).model_dump_json())
    return publish(source, folder / "adapters", make_card(embedded_model(), step="renamed"))
