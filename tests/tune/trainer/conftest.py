"""The tiny model, and one training of each method by the real program; each made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.tune.phase import JOB, TRACEPARENT
from tests.tune.trainer.tiny import fresh, nursery, taught, write_grpo, write_model

CALLER = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
"""Below it stands what the reinforcement records."""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random model; only for tests that are marked slow, since it loads torch."""
    torch = pytest.importorskip("torch", reason="comes with training")
    pytest.importorskip("trl", reason="comes with training")
    torch.set_num_threads(1)  # two threads wait for each other longer than they work
    return write_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session", autouse=True)
def trainings() -> Iterator[None]:
    """Ends what starts trainings, where anything did."""
    yield
    if nursery.cache_info().currsize:
        nursery().close()


@pytest.fixture(scope="session")
def imitated(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SFT to its end. Like the others not to be written to."""
    folder = taught(tmp_path_factory.mktemp("undisturbed") / "sft", tiny)
    fresh(folder)
    return folder


@pytest.fixture(scope="session", params=["dpo", "kto"])
def preferred(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DPO and KTO to their end; the folder's name is the method."""
    folder = taught(tmp_path_factory.mktemp("undisturbed") / request.param, tiny, request.param)
    fresh(folder)
    return folder


@pytest.fixture(scope="session")
def reinforced(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GRPO to its end, with a span that it records its own below."""
    folder = write_grpo(tmp_path_factory.mktemp("undisturbed") / "grpo", tiny)
    fresh(folder, **{TRACEPARENT: CALLER, JOB: "job-1"})
    return folder
