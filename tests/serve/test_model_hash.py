"""The hash of a model's folder: of its content, not of its place, and quick the second time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from agentkit.errors import AdapterError
from agentkit.serve import model_hash
from agentkit.serve.model_hash import content_hash
from tests.tune.small_lora import write_base


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    return write_base(tmp_path / "base")


def test_equal_content_has_one_hash_wherever_it_is(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "copy")
    (tmp_path / "copy" / "notes.txt").write_text("not a part of the model")
    assert content_hash(tmp_path / "copy") == content_hash(base)
    assert len(content_hash(base)) == 64


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_every_part_of_a_model_counts(base: Path, name: str) -> None:
    before = content_hash(base)
    with (base / name).open("ab") as file:
        file.write(b" ")
    assert content_hash(base) != before


def test_large_files_are_read_once_and_again_when_they_change(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_hash, "_LARGE", 1)
    read: list[str] = []
    file_hash = model_hash.file_hash
    monkeypatch.setattr(model_hash, "file_hash", lambda path: read.append(path.name) or file_hash(path))
    first = content_hash(base)
    content_hash(base)
    assert len(read) == 6, "files that were just written are not trusted yet"
    for path in base.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    read.clear()
    assert [content_hash(base) for _ in range(3)] == [first] * 3
    assert sorted(read) == ["config.json", "model.safetensors", "tokenizer.json"]
    (base / "config.json").write_text("{}")
    read.clear()
    assert content_hash(base) != first
    assert read == ["config.json"]


@pytest.mark.parametrize("junk", [b"", b"[]", b"\xff", b'{"a": {"b": 1}}'])
def test_a_broken_cache_is_made_anew(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, junk: bytes) -> None:
    monkeypatch.setattr(model_hash, "_LARGE", 1)
    os.utime(base / "model.safetensors", (1_000_000_000, 1_000_000_000))
    before = content_hash(base)
    (kept,) = (tmp_path / "cache" / "hashes").iterdir()
    kept.write_bytes(junk)
    assert content_hash(base) == before
    assert kept.read_bytes() != junk


def test_a_cache_that_cannot_be_written_costs_time_only(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content_hash(base)
    monkeypatch.setattr(model_hash, "_LARGE", 1)
    os.utime(base / "model.safetensors", (1_000_000_000, 1_000_000_000))
    monkeypatch.setenv("AGENTKIT_CACHE", "/proc/nowhere")
    assert content_hash(base) == before


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"expected a model's folder, with config\.json and \*\.safetensors"):
        content_hash(tmp_path)
