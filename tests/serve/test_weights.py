"""Safetensors read by hand: the same as the library reads, and nothing but an error for whatever else a file holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import AdapterError
from agentkit.serve.weights import model_tensors, numbers, read_tensors
from tests.tune.small_lora import lora_tensors, write_base, write_safetensors


def test_what_the_library_writes_is_read_alike(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy", reason="comes with the model server")
    given = {name: it.astype(kind) for kind in ("f2", "f4", "f8") for name, it in lora_tensors().items()}
    library.save_file(given, tmp_path / "a.safetensors", metadata={"format": "pt"})
    found = read_tensors(tmp_path / "a.safetensors")
    assert set(found) == set(given)
    for name, tensor in found.items():
        assert tensor.shape == given[name].shape
        assert np.array_equal(numbers(tmp_path / "a.safetensors", tensor).reshape(tensor.shape), given[name])


def test_what_the_tests_write_is_read_by_the_library(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy", reason="comes with the model server")
    write_safetensors(tmp_path / "a.safetensors", lora_tensors())
    read = library.load_file(tmp_path / "a.safetensors")
    assert {name: it.tolist() for name, it in read.items()} == {
        name: it.tolist() for name, it in lora_tensors().items()
    }


def test_bfloat16_is_the_upper_half_of_a_float(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", {"x": np.array([0x3F80, 0xC000, 0x7F80, 0x0001], np.uint16)})
    found = numbers(tmp_path / "a", read_tensors(tmp_path / "a")["x"])
    assert found.tolist() == [1.0, -2.0, np.inf, 2.0**-133]


def header(text: str, data: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text.encode() + data


ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(json.dumps({"a": ENTRY, "?": ENTRY}).replace("?", "a"), b"1234"), "a name stands in it twice"),
        (header(json.dumps({"a": ENTRY, "b": ENTRY}), b"1234"), "its tensors overlap or leave a gap"),
        (header(json.dumps({"a": ENTRY | {"data_offsets": [4, 8]}}), b"12345678"), "overlap or leave a gap"),
        (header(json.dumps({"a": ENTRY | {"data_offsets": [-4, 0]}}), b"1234"), "no whole number"),
        (header(json.dumps({"a": ENTRY | {"shape": [True]}}), b"1234"), "no whole number"),
        (header(json.dumps({"a": ENTRY | {"shape": [2]}}), b"1234"), r"4 bytes do not hold F32 of shape \[2\]"),
        (header(json.dumps({"a": ENTRY | {"dtype": "F33"}}), b"1234"), "found the type 'F33', expected one of F64"),
        (header(json.dumps({"a": [1]}), b"1234"), "its header cannot be read"),
        (header(json.dumps({"a": {}}), b"1234"), "its header cannot be read"),
        (header(json.dumps({"a": ENTRY}), b"12345"), "is no whole safetensors file: expected 73 bytes, found 74"),
        (header(json.dumps({"a": ENTRY | {"dtype": ["F32"]}}), b"1234"), "its header cannot be read"),
        (header("[" * 50_000), "its header cannot be read"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(AdapterError, match=message):
        read_tensors(tmp_path / "a")


@given(st.data())
def test_no_change_of_a_file_leads_to_anything_but_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    write_safetensors(path, {"a": np.ones((2, 2), np.float32), "b": np.ones(3, np.float16)})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read_tensors(path)
    except AdapterError:
        return
    assert sum(it.end - it.start for it in found.values()) <= len(content)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="cannot be read: No such file"):
        read_tensors(tmp_path / "nothing")
    with pytest.raises(AdapterError, match=r"found no \*\.safetensors file in it"):
        model_tensors(tmp_path)
    assert "model.norm.weight" in model_tensors(write_base(tmp_path / "base"))
