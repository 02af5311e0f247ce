"""Whether merged weights hold what adapters change, computed here once more from the numbers in the files.

A merge that matched no module writes the base model and succeeds; nobody would notice.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.errors import AdapterError
from agentkit.serve.adapter_folder import CONFIG, WEIGHTS
from agentkit.serve.lora import lora_pairs, rank_of
from agentkit.serve.weights import Tensor, model_files, numbers, read_tensors

Matrix = NDArray[np.float32]


def share_merged(base: Path, merged: Path, adapters: Sequence[Path]) -> float:
    """How much of the adapters' changes is found in the merged model: 0 none, 1 all, 2 all of them twice.

    It is the slope of the change found on the change expected, over all weights that any adapter touches.

    Args:
        adapters: the folder of each.

    Raises:
        AdapterError: a file is broken, or a module of an adapter is missing in one of the models.
    """
    before, after = _Model(base), _Model(merged)
    parts = [_Changes(folder) for folder in adapters]
    found = expected = 0.0
    for module in sorted({module for part in parts for module in part.modules}):
        change = sum(part.change(module) for part in parts if module in part.modules)
        found += float(np.vdot(after.weight(module) - before.weight(module), change))
        expected += float(np.vdot(change, change))
    return found / expected if expected else math.nan


class _Model:
    """The matrices of a model's folder, read one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, tuple[Path, Tensor]] = {}
        for file in model_files(folder):
            self._places |= {name: (file, tensor) for name, tensor in read_tensors(file).items()}

    def weight(self, module: str) -> Matrix:
        place = self._places.get(f"{module}.weight")
        if place is None:
            raise AdapterError(f"{self._folder}: has no {module}.weight, which an adapter changes")
        return _matrix(*place)


class _Changes:
    """What one adapter adds to each matrix."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / WEIGHTS
        self._config: Mapping[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        self.modules = lora_pairs(read_tensors(self._file))

    def change(self, module: str) -> Matrix:
        pair = self.modules[module]
        product: Matrix = _matrix(self._file, pair["B"]) @ _matrix(self._file, pair["A"])
        return product * np.float32(self._scale(module))

    def _scale(self, module: str) -> float:
        alpha = self._config["lora_alpha"]
        for pattern, other in (self._config.get("alpha_pattern") or {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                alpha = other
                break
        rank = rank_of(module, self._config)
        return float(alpha / math.sqrt(rank) if self._config.get("use_rslora") else alpha / rank)


def _matrix(file: Path, tensor: Tensor) -> Matrix:
    return numbers(file, tensor).astype(np.float32).reshape(tensor.shape)
