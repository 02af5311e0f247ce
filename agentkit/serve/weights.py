"""What a safetensors file holds, from its header: eight bytes of length, JSON, then the numbers themselves.

Read here by hand so that a folder of weights can be checked where neither torch nor the library is installed, and so
that a file from elsewhere is refused for what exactly is wrong with it. Nothing in it is ever executed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.errors import AdapterError

_LONGEST_HEADER = 100_000_000
"""Bytes; as the library has it."""
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
_BYTES |= {"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
FLOATS: Mapping[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where one tensor lies in its file."""

    dtype: str
    """As the format names it: `F32`, `BF16` ..."""
    shape: tuple[int, ...]
    start: int
    """Byte of the file at which it begins."""
    end: int


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file by name.

    Raises:
        AdapterError: the file cannot be read, or is no whole safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or length > min(size - 8, _LONGEST_HEADER):
                raise AdapterError(f"{path}: is no safetensors file: {_guess(path, size)}")
            text = file.read(length)
    except OSError as error:
        raise AdapterError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        header = json.loads(text, object_pairs_hook=_unique)
        found = {name: _tensor(entry, 8 + length) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AdapterError(f"{path}: is no safetensors file: its header cannot be read: {error}") from None
    _check_places(path, found, 8 + length, size)
    return found


def model_files(folder: Path) -> list[Path]:
    """The files of a model's weights. Raises AdapterError where there is none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise AdapterError(f"{folder}: expected a model's folder, found no *.safetensors file in it")
    return files


def model_tensors(folder: Path) -> Mapping[str, Tensor]:
    """The tensors of a model by name. `start` and `end` are within the file of each.

    Raises:
        AdapterError: the folder has none, or a file is broken.
    """
    return {name: tensor for file in model_files(folder) for name, tensor in read_tensors(file).items()}


def numbers(path: Path, tensor: Tensor) -> NDArray[np.floating[Any]]:
    """The numbers of a tensor of floats (`FLOATS`), flat."""
    raw: NDArray[Any] = np.fromfile(path, FLOATS[tensor.dtype], math.prod(tensor.shape), offset=tensor.start)
    if tensor.dtype != "BF16":
        return raw
    upper = raw.astype(np.uint32) << np.uint32(16)  # half of a 32-bit float
    return upper.view(np.float32)


def _guess(path: Path, size: int) -> str:
    with path.open("rb") as file:
        first = file.read(2)
    if first == b"PK" or first[:1] == b"\x80":
        return "it is a pickle, which can run code when it is loaded; save the adapter as safetensors"
    return f"its header is longer than the file ({size} bytes)" if size >= 10 else f"it has only {size} bytes"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _tensor(entry: Any, offset: int) -> Tensor:
    dtype, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if dtype not in _BYTES:
        raise ValueError(f"found the type {dtype!r}, expected one of {', '.join(_BYTES)}")
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise ValueError("a shape or place is no whole number")
    if end - start != math.prod(shape) * _BYTES[dtype]:
        raise ValueError(f"{end - start} bytes do not hold {dtype} of shape {list(shape)}")
    return Tensor(dtype, shape, offset + start, offset + end)


def _check_places(path: Path, tensors: Mapping[str, Tensor], begin: int, size: int) -> None:
    """The tensors must fill the file without gap or overlap: no room for anything else."""
    place = begin
    for tensor in sorted(tensors.values(), key=lambda it: (it.start, it.end)):
        if tensor.start != place:
            raise AdapterError(f"{path}: is no safetensors file: its tensors overlap or leave a gap at byte {place}")
        place = tensor.end
    if place != size:
        raise AdapterError(f"{path}: is no whole safetensors file: expected {place} bytes, found {size}")
