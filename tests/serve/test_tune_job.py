"""A whole training job, small but real: the embedded model behind vLLM, TRL, PEFT, and a certificate of real plays."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.serve

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from agentkit.cli import main; main()"]
SETTINGS = ("validation=2", "samples=2", "sft_epochs=6", "evaluate_every=3", "guards=2")


def agentkit(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=project, capture_output=True, text=True, timeout=900)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The till of this repository, and its rewards, as a project of its own."""
    shutil.copytree(ROOT / "scenarios" / "point_of_sale", tmp_path / "scenarios" / "point_of_sale")
    shutil.copytree(ROOT / "rewards", tmp_path / "rewards")
    for other in (tmp_path / "scenarios" / "point_of_sale").glob("*.yaml"):
        if other.name not in ("suite.yaml", "refund.yaml"):
            other.unlink()
    written = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    begin = written.index("[tool.agentkit]")
    (tmp_path / "pyproject.toml").write_text(written[begin : written.index("[tool.ruff]")], encoding="utf-8")
    return tmp_path


def test_from_a_failing_step_to_a_certificate(project: Path) -> None:
    played = agentkit(project, "run", "--agent", "demo", "--trials", "2", "--detours", "none")
    assert played.returncode == 0, played.stderr
    told = [part for setting in SETTINGS for part in ("--set", setting)]
    size = ["--train", "4", "--held-out", "4", "--rest", "2", "--method", "sft"]
    done = agentkit(project, "tune", "--step", "refund", *size, *told, "--json", "certificate.json")
    assert done.returncode in (0, 1, 4), done.stderr
    assert "trainer and server read all 8 prompts as the same tokens" in done.stderr

    certificate = json.loads((project / "certificate.json").read_text())
    assert certificate["exit_code"] == done.returncode
    assert certificate["target"]["held_out"] == 4
    assert certificate["target"]["pairs"] == 4
    assert any(it["step"].endswith("#refund") for it in certificate["others"]), "the step in variants not trained for"
    assert certificate["target"]["before"] is not None
    assert certificate["general"]["prompts"] >= 15
    assert set(certificate["hashes"]) >= {"data", "rewards", "base_model", "adapter"}
    [job] = (project / ".agentkit" / "jobs").iterdir()
    assert (job / "certificate.html").read_text().startswith("<!doctype html>")
    progress = [json.loads(line) for line in (job / "train" / "0-sft" / "progress.jsonl").read_text().splitlines()]
    seen = [it for it in progress if it["event"] == "evaluation"]
    all_right = seen[1]["passed"] == 2 and seen[1]["lost"] <= 0.15 * seen[1]["guarded"]
    assert [it["step"] for it in seen] == ([0, 3] if all_right else [0, 3, 6])

    listed = json.loads(agentkit(project, "adapters", "--json", "-").stdout)
    assert "refund-v1-" in json.dumps(listed)
    again = agentkit(project, "tune", "resume", "last")
    assert again.returncode == done.returncode, again.stderr
    assert "starting vLLM" not in again.stderr
