"""A tiny model's folder and PEFT's output for it, written byte by byte as the safetensors format has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.serve.model_hash import content_hash
from agentkit.tune import ModelCard

Array = NDArray[Any]
MODULES = tuple(f"model.layers.{layer}.self_attn.{name}" for layer in range(2) for name in ("q_proj", "v_proj"))
WIDTH, RANK = 6, 2
_TYPES = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64"}


def write_safetensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """Tensors in a file, one after the other. uint16 stands for bfloat16, which numpy does not have."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, tensor in tensors.items():
        dtype = "BF16" if tensor.dtype == np.uint16 else _TYPES[str(tensor.dtype)]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [place, place + tensor.nbytes]}
        place += tensor.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(it.tobytes() for it in tensors.values()))


def lora_tensors(seed: int = 0) -> dict[str, Array]:
    """An A and a B for each module, as PEFT names them."""
    chance = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for module in MODULES:
        found[f"base_model.model.{module}.lora_A.weight"] = chance.normal(size=(RANK, WIDTH)).astype(np.float32)
        found[f"base_model.model.{module}.lora_B.weight"] = chance.normal(size=(WIDTH, RANK)).astype(np.float32)
    return found


def lora_config(**changes: Any) -> dict[str, Any]:
    config = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 4,
        "target_modules": ["v_proj", "q_proj"],
        "bias": "none",
        "base_model_name_or_path": "/somebody/private/models/tiny",
    }
    return config | changes


def write_lora(
    folder: Path, seed: int = 0, config: Mapping[str, Any] | None = None, tensors: Mapping[str, Array] | None = None
) -> Path:
    """What PEFT and a trainer leave behind, the adapter and more."""
    (folder / "ref").mkdir(parents=True, exist_ok=True)
    (folder / "checkpoint-8").mkdir(exist_ok=True)
    write_safetensors(folder / "adapter_model.safetensors", lora_tensors(seed) if tensors is None else tensors)
    (folder / "adapter_config.json").write_text(json.dumps(lora_config() if config is None else config))
    write_safetensors(folder / "ref" / "adapter_model.safetensors", lora_tensors(99))
    (folder / "checkpoint-8" / "optimizer.pt").write_bytes(b"PK\x03\x04")
    (folder / "training_args.bin").write_bytes(b"PK\x03\x04")
    (folder / "README.md").write_text("[More Information Needed]")
    return folder


def write_base(folder: Path, seed: int = 0) -> Path:
    """A model with the modules of the adapter, and one that no adapter may touch."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed)
    tensors = {f"{module}.weight": chance.normal(size=(WIDTH, WIDTH)).astype(np.float16) for module in MODULES}
    tensors["model.embed_tokens.weight"] = chance.normal(size=(10, WIDTH)).astype(np.float16)
    tensors["model.norm.weight"] = np.ones(WIDTH, np.float16)
    write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_card(base: Path, **changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "step": "refund",
        "base": "tiny",
        "base_hash": content_hash(base),
        "data_hash": "dd" * 32,
        "scenarios": ("shop/refund",),
        "job": "job-1",
        "method": "GRPO",
        "examples": 16,
        "data": "Calls of refund, from 16 instances.",
        "training": {"learning_rate": 3e-4},
        "seeds": {"training": 7},
        "versions": {"peft": "0.21.2"},
    }
    return ModelCard(**values | changes)
