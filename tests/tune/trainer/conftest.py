"""The tiny model, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tune.trainer.tiny import write_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random model; only for tests that are marked slow, since it loads torch."""
    pytest.importorskip("trl", reason="comes with training")
    return write_model(tmp_path_factory.mktemp("tiny") / "model")
