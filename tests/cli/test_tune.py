"""`agentkit tune` as far as it goes without a model server: what it refuses, and what it knows of jobs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from agentkit.errors import ExitCode
from agentkit.records import Job, JobId, JobStatus
from agentkit.store import Store
from agentkit.tune.certificate import Promotion, stopped
from tests.cli.conftest import Cli


@pytest.fixture
def job(project: Path) -> Job:
    job = Job(
        id=JobId("refund-20260101-000000-abcd"),
        step="refund",
        folder=str(project / ".agentkit" / "jobs" / "refund-20260101-000000-abcd"),
        created_at="2026-01-01T00:00:00.000+00:00",
        updated_at="2026-01-01T00:00:00.000+00:00",
        settings={"run": "r", "rewards": "x", "adapters": "y"},
        status=JobStatus.TRAINING,
        stage="grpo in 0-grpo",
        pid=2**22 + 1,
    )
    with Store.open(f"sqlite:///{project}/.agentkit/agentkit.db") as store:
        store.create_job(job)
    return job


@pytest.mark.slow
def test_without_a_step_it_says_what_to_name(cli: Cli) -> None:
    cli("run", "--agent", "scripted:0.5", "--trials", "1")
    done = cli("tune")
    assert done.returncode == ExitCode.USAGE
    assert "--step STEP, or --worst" in done.stderr


def test_a_run_of_an_agent_without_a_model_cannot_be_tuned(cli: Cli) -> None:
    cli("run", "--agent", "scripted:0.5", "--trials", "2")
    done = cli("tune", "--step", "look_up")
    assert done.returncode == ExitCode.USAGE
    assert "scripted" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_is_told_with_the_nearest_one(cli: Cli) -> None:
    cli("run", "--agent", "scripted:0.5", "--trials", "1")
    done = cli("tune", "--step", "look_up", "--set", "grpo_step=3")
    assert done.returncode == ExitCode.USAGE
    assert "--grpo-step" in done.stderr
    assert "did you mean 'grpo_steps'" in done.stderr


@pytest.mark.parametrize("value", ["0", "-3", "many"])
def test_a_number_that_makes_no_sense_is_told(cli: Cli, value: str) -> None:
    cli("run", "--agent", "scripted:0.5", "--trials", "1")
    done = cli("tune", "--step", "look_up", "--set", f"train={value}")
    assert done.returncode == ExitCode.USAGE
    assert "--train" in done.stderr
    assert value in done.stderr


def test_an_unknown_word_is_told_with_the_nearest_one(bare: Cli) -> None:
    done = bare("tune", "statsu")
    assert done.returncode == ExitCode.USAGE
    assert "did you mean 'status'" in done.stderr


def test_no_jobs_yet(bare: Cli) -> None:
    done = bare("tune", "status")
    assert done.returncode == ExitCode.PASS
    assert "no job yet" in done.stdout


def test_a_job_whose_process_died_says_how_to_go_on(cli: Cli, job: Job) -> None:
    done = cli("tune", "status")
    assert f"interrupted (agentkit tune resume {job.id})" in done.stdout
    document = json.loads(cli("tune", "status", "last", "--json", "-").stdout)
    assert document["status"] == "training"
    assert document["alive"] is False


def test_stopping_a_job_that_is_not_at_work_does_nothing(cli: Cli, job: Job) -> None:
    done = cli("tune", "stop", str(job.id)[:8])
    assert done.returncode == ExitCode.PASS
    assert "is not at work" in done.stdout


def test_curve_needs_two_numbers(cli: Cli) -> None:
    cli("run", "--agent", "scripted:0.5", "--trials", "1")
    done = cli("tune", "--step", "look_up", "--curve", "8")
    assert done.returncode == ExitCode.USAGE
    assert "--curve" in done.stderr


@pytest.mark.parametrize(
    ("words", "unused", "beside"),
    [
        (("--step", "look_up", "--curve", "4,8", "--dry-run"), "--dry-run", "--curve"),
        (("--step", "look_up", "--curve", "4,8", "--train", "9"), "--train", "--curve"),
        (("resume", "last", "--dry-run"), "--dry-run", "resume"),
        (("resume", "last", "--held-out", "9"), "--held-out", "resume"),
        (("status", "--worst"), "--worst", "status"),
        (("stop", "last", "--set", "moments=0"), "--set", "stop"),
    ],
)
def test_what_would_change_nothing_is_refused(bare: Cli, words: tuple[str, ...], unused: str, beside: str) -> None:
    done = bare("tune", *words)
    assert done.returncode == ExitCode.USAGE
    assert f"{unused} goes with one new job; found {beside} beside it" in done.stderr


@pytest.mark.parametrize(
    ("of_largest", "code"),
    [(Promotion.PROMOTE, ExitCode.PASS), (Promotion.REFUSE, ExitCode.FAIL), (Promotion.STOPPED, ExitCode.NOT_JUDGED)],
)
def test_a_curve_ends_as_its_largest_size_does(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, of_largest: Promotion, code: ExitCode
) -> None:
    def work(store: Store, settings: object, size: int) -> SimpleNamespace:
        verdict = of_largest if size == 8 else Promotion.INCONCLUSIVE
        document = stopped("look_up", ["why"], hashes={}, verdict=verdict).document()
        return SimpleNamespace(do=lambda: SimpleNamespace(verdict=verdict, document=document))

    monkeypatch.setattr("agentkit.cli.tune._work_of", work)
    cli("run", "--agent", "scripted:0.5", "--trials", "1")
    done = cli("tune", "--step", "look_up", "--curve", "8,4", "--json", "-")
    assert done.returncode == code, done.stderr
    verdicts = [(it["examples"], it["verdict"]) for it in json.loads(done.stdout)["curve"]]
    assert verdicts == [(4, "inconclusive"), (8, of_largest.value)]
