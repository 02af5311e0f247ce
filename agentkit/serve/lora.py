"""Whether the weights of a LoRA adapter are what its configuration says, and fit the model that they are for.

A server that finds no module for an adapter's weights serves the base model and says nothing, so this is asked before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agentkit.errors import AdapterError
from agentkit.serve.weights import FLOATS, Tensor, numbers, read_tensors

_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
_SHOWN = 8
"""Problems that are told at once."""

Pair = dict[str, Tensor]
"""`A` and `B` of one module."""


def check_lora(weights: Path, config: Mapping[str, Any], base: Mapping[str, Tensor] | None = None) -> None:
    """Check an adapter's weights against its `adapter_config.json`, and against the tensors of its base model.

    Raises:
        AdapterError: with what is wrong, the first few things.
    """
    tensors = read_tensors(weights)
    wrong = list(_config_problems(config))
    if not wrong:
        pairs, wrong = _pairs(tensors)
        wrong += [problem for module, pair in pairs.items() for problem in _pair_problems(module, pair, config)]
        wrong += _target_problems(pairs, config)
        if base is not None:
            wrong += _base_problems(pairs, config, base)
    if not wrong:
        wrong += _number_problems(weights, tensors)
    if wrong:
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise AdapterError(
            "\n".join([f"{weights}: is no usable adapter:", *(f"  {it}" for it in wrong[:_SHOWN] + more)])
        )


def _config_problems(config: Mapping[str, Any]) -> Iterator[str]:
    if (kind := config.get("peft_type")) != "LORA":
        yield f"adapter_config.json: peft_type: found {kind!r}, expected 'LORA'"
    rank = config.get("r")
    if type(rank) is not int or rank < 1:
        yield f"adapter_config.json: r: found {rank!r}, expected the rank, a whole number from 1"
    targets = config.get("target_modules")
    if not targets or not (isinstance(targets, str) or all(isinstance(it, str) for it in targets)):
        yield f"adapter_config.json: target_modules: found {targets!r}, expected names of modules"
    if not isinstance(config.get("rank_pattern") or {}, Mapping):
        yield f"adapter_config.json: rank_pattern: found {config['rank_pattern']!r}, expected module → rank"
    alpha = config.get("lora_alpha")
    if not isinstance(alpha, int | float) or not 0 < alpha < math.inf:
        yield f"adapter_config.json: lora_alpha: found {alpha!r}, expected a number above 0"
    for key in ("modules_to_save", "use_dora", "lora_bias", "trainable_token_indices", "target_parameters"):
        if config.get(key):
            yield f"adapter_config.json: {key}: found {config[key]!r}, expected a plain LoRA adapter without it"
    if config.get("bias", "none") != "none":
        yield f"adapter_config.json: bias: found {config['bias']!r}, expected 'none'"


def lora_pairs(tensors: Mapping[str, Tensor]) -> dict[str, Pair]:
    """The A and B of an adapter by module, of tensors that were checked."""
    return _pairs(tensors)[0]


def _pairs(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Pair], list[str]]:
    """The tensors by module, and the names that are none of an adapter's."""
    pairs: dict[str, Pair] = {}
    wrong = [] if tensors else ["it holds no tensor"]
    for name, tensor in tensors.items():
        if key := _KEY.fullmatch(name):
            pairs.setdefault(key["module"], {})[key["side"]] = tensor
        else:
            wrong.append(f"{name}: expected a name like base_model.model.….lora_A.weight")
    return pairs, wrong


def _pair_problems(module: str, pair: Pair, config: Mapping[str, Any]) -> Iterator[str]:
    if missing := {"A", "B"} - set(pair):
        yield f"{module}: its lora_{missing.pop()} is missing"
        return
    rank = rank_of(module, config)
    for side, axis in (("A", 0), ("B", 1)):
        tensor = pair[side]
        if tensor.dtype not in FLOATS:
            yield f"{module}: lora_{side}: found the type {tensor.dtype}, expected one of {', '.join(FLOATS)}"
        if len(tensor.shape) != 2:
            yield f"{module}: lora_{side}: found the shape {list(tensor.shape)}, expected a matrix"
        elif tensor.shape[axis] != rank:
            yield f"{module}: lora_{side}: found the rank {tensor.shape[axis]}, expected {rank} (adapter_config.json)"


def rank_of(module: str, config: Mapping[str, Any]) -> Any:
    """The rank that the configuration gives a module: its own, where a pattern names it."""
    for pattern, rank in (config.get("rank_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern})", module):
            return rank
    return config["r"]


def _targeted(module: str, config: Mapping[str, Any]) -> bool:
    targets = config["target_modules"]
    if isinstance(targets, str):
        return targets == "all-linear" or re.fullmatch(targets, module) is not None
    return any(module == target or module.endswith(f".{target}") for target in targets)


def _target_problems(pairs: Mapping[str, Pair], config: Mapping[str, Any]) -> list[str]:
    targets = config["target_modules"]
    wrong = [
        f"{module}: is none of the target_modules of adapter_config.json"
        for module in pairs
        if not _targeted(module, config)
    ]
    named = [] if isinstance(targets, str) else targets
    unmet = [it for it in named if not any(_targeted(module, {"target_modules": [it]}) for module in pairs)]
    return wrong + [f"adapter_config.json: target_modules: {it}: no tensor is of such a module" for it in unmet]


def _base_problems(pairs: Mapping[str, Pair], config: Mapping[str, Any], base: Mapping[str, Tensor]) -> list[str]:
    modules = {name.rpartition(".")[0] for name in base}
    wrong = []
    for module, pair in pairs.items():
        if module not in modules:
            wrong.append(f"{module}: the base model has no such module")
            continue
        whole = base.get(f"{module}.weight")
        if whole is None or whole.dtype not in FLOATS or set(pair) != {"A", "B"}:
            continue
        (a, b) = pair["A"].shape, pair["B"].shape
        if len(whole.shape) == 2 and (b[:1], a[1:]) != (whole.shape[:1], whole.shape[1:]):
            wrong.append(
                f"{module}: found {list(b[:1] + a[1:])} in and out, expected {list(whole.shape)} of the base model"
            )
    if not any(config.get(key) for key in ("layers_to_transform", "exclude_modules")):
        matrices = [name.removesuffix(".weight") for name, it in base.items() if len(it.shape) == 2]
        missing = [it for it in matrices if it not in pairs and it != "lm_head" and _targeted(it, config)]
        wrong += [f"{module}: is a target module of the base model, and has no tensor here" for module in missing]
    return wrong


def _number_problems(weights: Path, tensors: Mapping[str, Tensor]) -> list[str]:
    wrong, changes = [], False
    for name, tensor in tensors.items():
        found = numbers(weights, tensor)
        if not np.isfinite(found).all():
            wrong.append(f"{name}: holds numbers that are not finite")
        changes = changes or (".lora_B." in name and bool(found.any()))
    return wrong if wrong or changes else ["every lora_B is zero: it changes nothing, so it was not trained"]
