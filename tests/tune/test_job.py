"""A job's stages, with what came before them already in its folder: what it makes of it, and that it does it once."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.config import Config
from agentkit.errors import ExitCode, UsageError
from agentkit.records import JobStatus
from agentkit.serve import ServedModel
from agentkit.store import Store
from agentkit.tune.curve import cut
from agentkit.tune.job import Work
from agentkit.tune.job_folder import JobFolder
from agentkit.tune.jobs import expected_seconds, new_job, pace
from agentkit.tune.prompt import Split
from agentkit.tune.settings import JobSettings
from tests.tune.compiled import ROOT, chat_agent, compiled, suite
from tests.tune.played import clerk, play

SECONDS = {"loading": 1.0, "generation": 6.0, "forward and backward": 13.0}


def phase_result(best: int, right: tuple[int, int]) -> dict[str, object]:
    evaluations = [{"step": step, "passed": it, "graded": 8} for step, it in zip((0, 4), right, strict=True)]
    return {"method": "sft", "best": best, "stopped": "", "evaluations": evaluations, "seconds": SECONDS}


async def work(store: Store, folder: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """A job that is compiled for real, about a run that was played for real."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("agentkit.tune.job.served_model", lambda *_, **__: ServedModel("tiny", base))
    run = await play(store, chat_agent(clerk), folder / "traces")
    settings = JobSettings(
        run=run.id,
        step="refund",
        method="sft",
        train=4,
        validation=2,
        held_out=4,
        rewards=str(ROOT / "rewards"),
        adapters=str(folder / "adapters"),
    )
    return Work(new_job(store, "refund", settings), settings, store, suite(), Config(), tell=lambda line: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path}/jobs.db")


def test_training_that_comes_to_nothing_better_is_inconclusive(
    store: Store, tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    job = asyncio.run(work(store, tmp_path, base, monkeypatch))
    monkeypatch.setattr(Work, "_begun", lambda self, manifest, prompts: "sft")
    monkeypatch.setattr("agentkit.tune.job.train_phase", lambda folder, phase, *_: phase_result(0, (3, 2)))
    ended = job.do()
    assert ended.verdict.exit_code is ExitCode.INCONCLUSIVE
    assert ended.adapter is None
    assert "2 of 8 validation prompts are answered right, and 3 were before" in ended.document["sentence"]
    assert store.adapters() == []
    assert store.job("last").status is JobStatus.FINISHED
    assert (job.folder / "certificate.html").is_file()
    assert job.files.read("adapters.json") == []


def test_a_file_that_went_missing_is_named(tmp_path: Path) -> None:
    files = JobFolder(tmp_path)
    assert files.read_if_there("warm.json") is None
    with pytest.raises(UsageError, match=r"before\.json: is missing"):
        files.read("before.json")


def test_seconds_add_up_over_sittings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((10.0, 12.5, 100.0, 103.0))
    monkeypatch.setattr("agentkit.tune.job_folder.time.monotonic", lambda: next(clock))
    for _ in range(2):
        with JobFolder(tmp_path).timed("preflight"):
            pass
    assert JobFolder(tmp_path).seconds == {"preflight": 5.5}


def test_the_time_is_reckoned_from_the_newest_job_that_was_timed(store: Store) -> None:
    settings = JobSettings(run="r", rewards="x", adapters="y", held_out=100, rest=20, grpo_steps=16)
    assert expected_seconds(store, settings) == (None, "no job of this store was timed yet")
    job = new_job(store, "refund", settings)
    measured = pace([phase_result(4, (0, 8))], {"conversations": 480.0}, 240)
    assert measured == {"seconds_per_update": 5.0, "seconds_per_conversation": 2.0}
    store.update_job(job.id, status=JobStatus.FINISHED, result={"pace": measured})
    assert expected_seconds(store, settings) == (16 * 5.0 + 240 * 2.0, f"as fast as job {job.id}")


async def test_smaller_points_of_a_curve_are_parts_of_larger_ones() -> None:
    prompts = (await compiled()).prompts
    small, all_of_them = cut(prompts, 2), cut(prompts, 99)
    assert [it.split for it in small].count(Split.TRAIN) == 2
    assert {it.id for it in small} < {it.id for it in all_of_them}
    assert all_of_them == prompts
    assert [it.id for it in small if it.split is Split.VALIDATION] == [
        it.id for it in prompts if it.split is Split.VALIDATION
    ]
