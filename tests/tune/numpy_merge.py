"""Merges adapters into a tiny model without torch: `python numpy_merge.py BASE ADAPTER... OUT`, as the real program is
called. NUMPY_MERGE_TIMES says how often each is added, NUMPY_MERGE_FAILS that it fails with these words."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from agentkit.serve.weights import numbers, read_tensors
from tests.tune.small_lora import write_safetensors


def read(path: Path) -> dict[str, np.ndarray]:
    return {name: numbers(path, it).reshape(it.shape).astype(np.float32) for name, it in read_tensors(path).items()}


def main(base: str, *folders: str) -> None:
    *adapters, out = folders
    if words := os.environ.get("NUMPY_MERGE_FAILS"):
        raise SystemExit(words)
    model = read(Path(base) / "model.safetensors")
    for folder in adapters:
        config = json.loads((Path(folder) / "adapter_config.json").read_text())
        lora = read(Path(folder) / "adapter_model.safetensors")
        times = float(os.environ.get("NUMPY_MERGE_TIMES", "1")) * config["lora_alpha"] / config["r"]
        for name in [name for name in lora if name.endswith("lora_A.weight")]:
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            model[f"{module}.weight"] += times * lora[name.replace("lora_A", "lora_B")] @ lora[name]
    shutil.copytree(base, out, ignore=shutil.ignore_patterns("*.safetensors"))
    half = {name: ((it.view(np.uint32) + 0x8000) >> 16).astype(np.uint16) for name, it in model.items()}
    write_safetensors(Path(out) / "model.safetensors", half)


if __name__ == "__main__":
    main(*sys.argv[1:])
