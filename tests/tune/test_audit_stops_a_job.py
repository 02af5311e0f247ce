"""A reward that is worth nothing stops a real job, through the command line, before a model is asked or trained."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from agentkit.cli import main
from agentkit.errors import ExitCode, UsageError
from agentkit.records import JobStatus
from agentkit.serve import ServedModel
from agentkit.store import Store
from tests.tune.compiled import chat_agent
from tests.tune.played import clerk, play
from tests.tune.spans import spans_in

SHAPE = '''"""A rubric that looks at the form alone."""

from agentkit.grade import RewardStep, reward


@reward(points=5)
def well_formed(step: RewardStep) -> bool:
    """One call whose arguments can be read."""
    return len(step.calls) == 1 and step.calls[0].arguments is not None
'''


def nobody(*_: object, **__: object) -> NoReturn:
    raise UsageError("a server or a training is wanted")


@pytest.fixture
def project(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run that was played for real, a rubric of the user's, and nobody to serve or to train."""
    folder = tmp_path / "shop"
    (folder / "rewards").mkdir(parents=True)
    (folder / "rewards" / "shape.py").write_text(SHAPE)
    (folder / "pyproject.toml").write_text('[tool.agentkit]\nstore = "sqlite:///runs.db"\n')
    monkeypatch.chdir(folder)
    monkeypatch.setattr("agentkit.tune.job.served_model", lambda *_, **__: ServedModel("tiny", base))
    monkeypatch.setattr("agentkit.tune.job.model_endpoint", nobody)
    monkeypatch.setattr("agentkit.tune.training.subprocess.Popen", nobody)
    with Store.open(f"sqlite:///{folder}/runs.db") as store:
        asyncio.run(play(store, chat_agent(clerk), folder / "traces"))
    return folder


def tune(*arguments: str) -> int:
    """`agentkit tune`, in this process; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["agentkit", "tune", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


SMALL = ("--train", "4", "--held-out", "4", "--set", "validation=2")


@pytest.mark.slow
def test_a_rubric_that_any_call_satisfies_stops_the_job(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = tune("--step", "refund", "--rubric", "shape", *SMALL, "--json", "told.json")
    said = capfd.readouterr()
    assert code == ExitCode.NOT_JUDGED == 3, said.err
    assert "Traceback" not in said.err
    assert "stopped: constant answers get 1.00, golden ones 1.00" in said.out
    assert "are wrong by the scenario's grader and get no less than the golden one" in said.out

    with Store.open(f"sqlite:///{project}/runs.db") as store:
        job = store.job("last")
        assert store.adapters() == []
    assert job.status is JobStatus.REFUSED
    assert job.stage.startswith("stopped: constant answers get 1.00")
    folder = project / job.folder
    certificate: dict[str, Any] = json.loads((folder / "certificate.json").read_bytes())
    assert json.loads(Path("told.json").read_bytes()) == certificate
    assert certificate["verdict"] == "stopped"
    assert certificate["target"]["step"].endswith("refund")
    assert len(certificate["hashes"]["rewards"]) == len(certificate["hashes"]["data"]) == 64
    audit = json.loads((folder / "audit.json").read_bytes())
    assert {"rivals_gold", "blind"} <= {it["code"] for it in audit["findings"] if it["stops"]}
    assert len(certificate["reasons"]) == sum(it["stops"] for it in audit["findings"])
    assert "stopped" in (folder / "certificate.html").read_text(encoding="utf-8")
    spans = spans_in(folder / "traces" / "traces.jsonl")
    assert list(spans) == ["stage compiling", "stage auditing", "job refund"]
    assert {"key": "agentkit.verdict", "value": {"stringValue": "stopped"}} in spans["job refund"]["attributes"]
    assert not [it for it in ("parity.json", "preflight.json", "before.json", "train") if (folder / it).exists()]

    assert tune("resume", str(job.id)) == ExitCode.NOT_JUDGED, "what was found stays found"
    assert json.loads((folder / "certificate.json").read_bytes()) == certificate


@pytest.mark.slow
def test_with_the_scenario_s_own_grade_in_it_the_audit_lets_the_job_go_on(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """So what stopped it was the rubric: with the part that it lacked the job comes to where a server is needed."""
    source = SHAPE.replace("import RewardStep, reward", "import RewardStep, graded, reward")
    (project / "rewards" / "shape.py").write_text(source + "\n\nas_expected = graded(points=20)\n")
    assert tune("--step", "refund", "--rubric", "shape", *SMALL) == ExitCode.USAGE
    assert "a server or a training is wanted" in capfd.readouterr().err
    with Store.open(f"sqlite:///{project}/runs.db") as store:
        folder = project / store.job("last").folder
    assert json.loads((folder / "audit.json").read_bytes())["passed"] is True
    assert not (folder / "certificate.json").exists()
