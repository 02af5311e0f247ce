"""Folders for adapters: a tiny base model, and what a training left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tune.small_lora import write_base, write_lora


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    return write_base(tmp_path / "base")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lora(tmp_path / "trained")


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    return tmp_path / "adapters"
