"""The GitHub Action and the step for other CI systems: their very commands, run in a new project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
DRAWS = find_spec("vl_convert") is not None
"""Whether what the extra `report` brings is here."""
AGENTKIT = [sys.executable, "-c", "from agentkit.cli import main; main()"]


@dataclass
class Job:
    """What GitHub makes of a composite action: expressions filled in, files for outputs and the summary."""

    folder: Path
    inputs: dict[str, str]

    def __post_init__(self) -> None:
        defaults = {name: it.get("default", "") for name, it in ACTION["inputs"].items()}
        self.inputs = defaults | self.inputs
        self.outputs: dict[str, dict[str, str]] = {}
        self.summary = self.folder / "summary.md"
        bin_ = self.folder / "bin"
        bin_.mkdir(exist_ok=True)
        for name, words in (("agentkit", AGENTKIT), ("python", [sys.executable])):
            script = " ".join(f"'{word}'" for word in words)
            (bin_ / name).write_text(f'#!/bin/sh\nexec {script} "$@"\n')
            (bin_ / name).chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"}

    def run(self) -> int:
        """All steps in their order until one fails, those with `run` by bash as GitHub starts it."""
        for step in ACTION["runs"]["steps"]:
            if "if" in step and self._filled(f"${{{{ {step['if'].split(' ')[0]} }}}}") == "":
                continue
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
                continue
            assert step["shell"] == "bash"
            if code := self._step(step):
                return code
        return 0

    def _step(self, step: dict[str, Any]) -> int:
        output = self.folder / "output"
        output.write_text("")
        told = {name: self._filled(value) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder / self._filled(step.get("working-directory", ".")),
            env={**self.environment, **told, "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(self.summary)},
            capture_output=True,
            text=True,
        )
        lines = (line.partition("=") for line in output.read_text().splitlines())
        self.outputs[step.get("id", "")] = {name: value for name, _, value in lines}
        self.said = done.stdout + done.stderr
        return done.returncode

    def _filled(self, text: str) -> str:
        return EXPRESSION.sub(lambda found: self._value(found[1]), text)

    def _value(self, expression: str) -> str:
        kind, *path = expression.split(".")
        if kind == "inputs":
            return self.inputs[path[0]]
        assert (kind, path[1]) == ("steps", "outputs"), expression
        return self.outputs[path[0]][path[2]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose baseline was played by an agent that is right in 95 % of the steps."""
    place = tmp_path_factory.mktemp("played")
    for words in (["new", "shop"], ["run", "--agent", "scripted:0.95", "--trials", "20"], ["baseline", "last"]):
        folder = place if words[0] == "new" else place / "shop"
        subprocess.run([*AGENTKIT, *words], cwd=folder, check=True, capture_output=True)
    return place


@pytest.fixture
def shop(played: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(played / "shop", tmp_path / "shop")
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_action_gate_a_project(shop: Path) -> None:
    told = {"agent": "scripted:0.95", "gate-args": "--off-path --pass-k 2", "install": "agentkit-reliability"}
    job = Job(shop, told | {"working-directory": "shop"})
    assert job.run() == 0, job.said
    assert job.outputs["gate"]["verdict"] == "pass"
    assert job.summary.read_text().startswith("## ✅ agentkit gate: pass")
    reports = shop / "shop/reports"
    assert {it.name for it in reports.iterdir()} >= {"run.json", "gate.json", "gate.xml", "gate.md"}
    assert (reports / "run.html").exists() == DRAWS
    names = [case.get("name") for case in xml.parse(reports / "gate.xml").iter("testcase")]
    assert names == ["compounded accuracy", "observed success", "off-path compounded accuracy", "pass^2"]


@pytest.mark.slow
def test_a_worse_agent_turns_the_job_red_with_everything_written(shop: Path) -> None:
    job = Job(shop, {"agent": "scripted:0.6", "working-directory": "shop", "install": ""})
    assert job.run() == 1
    assert (job.outputs["gate"]["verdict"], job.outputs["gate"]["exit-code"]) == ("fail", "1")
    assert "### What got worse" in Path(job.outputs["gate"]["summary"]).read_text()
    assert (shop / "shop/reports/run.html").exists() == DRAWS


@pytest.mark.slow
def test_a_gate_that_cannot_begin_is_red_and_says_why(shop: Path) -> None:
    job = Job(shop, {"agent": "scripted:0.9", "working-directory": "shop", "install": "", "baseline": "reports/b.json"})
    assert job.run() == 2
    assert job.outputs["gate"]["verdict"] == ""
    assert "reports/b.json: no such baseline" in job.summary.read_text()


SAID = """#!/bin/sh
echo "$1 $2" >> said
case $1 in
run) mkdir -p reports; echo '{"run_id": "run-41"}' > reports/run.json ;;
gate) exit 3 ;;
esac
"""
"""In the place of agentkit: notes what it is asked, plays `run-41`, and cannot begin to judge."""


@pytest.fixture
def noted(tmp_path: Path) -> Job:
    """A job in a folder where an earlier gate has passed."""
    job = Job(tmp_path, {"agent": "my-agent", "install": ""})
    (tmp_path / "bin/agentkit").write_text(SAID)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/run.json").write_text('{"run_id": "run-40"}')
    (tmp_path / "reports/gate.json").write_text('{"outcome": "pass"}')
    (tmp_path / "reports/gate.md").write_text("## agentkit gate: pass")
    return job


def test_the_run_that_was_played_is_gated_whatever_else_is_in_the_store_and_the_folder(noted: Job) -> None:
    assert noted.run() == 3
    said = (noted.folder / "said").read_text().splitlines()
    assert said == ["run --agent", "gate run-41", "report run-41"]
    assert noted.outputs["gate"]["verdict"] == ""
    assert "gate: not begun" in noted.summary.read_text()


def documented() -> str:
    """The commands for other CI systems, without the first, which installs."""
    text = (ROOT / "agentkit/gate/CI.md").read_text(encoding="utf-8")
    section = text.partition("## Any other CI")[2]
    commands = "\n".join(line.strip() for line in section.split("\n\n")[1].splitlines())
    assert commands.startswith("pip install 'agentkit-reliability[report]'\n")
    return commands.partition("\n")[2]


def test_the_step_for_other_systems_gates_the_run_that_was_played(noted: Job) -> None:
    done = subprocess.run(["bash", "-c", documented()], cwd=noted.folder, env=noted.environment)
    assert done.returncode == 3
    said = (noted.folder / "said").read_text().splitlines()
    assert said == ["run --agent", "gate run-41", "report run-41"]
    assert not (noted.folder / "reports/gate.json").exists()


@pytest.mark.slow
def test_the_step_for_other_systems_runs_as_it_is_documented(shop: Path) -> None:
    played = documented().replace("my-agent", "scripted:0.95").replace("--trials 50", "--trials 20")
    job = Job(shop, {})
    done = subprocess.run(
        ["bash", "-c", played], cwd=shop / "shop", env=job.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (shop / "shop/reports/gate.xml").exists()


def test_the_documented_workflow_names_an_action_that_is_there_and_inputs_that_it_has() -> None:
    text = (ROOT / "agentkit/gate/CI.md").read_text(encoding="utf-8")
    example = text.partition("## GitHub")[2].split("\n\n")[1]
    steps = yaml.safe_load("\n".join(line[4:] for line in example.splitlines()))["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used == ["actions/checkout@v4", "./.github/actions/agentkit"]
    assert f"`{used[1].removeprefix('./')}/action.yml`" in text  # where the text says to copy it
    action = next(step for step in steps if step.get("uses") == used[1])
    assert set(action["with"]) <= set(ACTION["inputs"])
    assert f"steps.{action['id']}.outputs.summary" in steps[-1]["run"]
    assert not re.search(r"\b[A-Z]{4,}/[A-Z]{4,}\b", text)  # a placeholder that nobody fills in
    assert not re.search(r"\$\{\{ *github\.action_path", (ROOT / "action.yml").read_text())  # one file, alone


def test_the_action_hands_inputs_to_its_commands_as_variables_only() -> None:
    """What an input says is never part of a command's text, where it could be one."""
    for step in ACTION["runs"]["steps"]:
        assert not EXPRESSION.search(step.get("run", "")), step
    used = set(re.findall(r"inputs\.([a-z-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])


def test_the_own_baseline_is_small_and_of_the_suites_as_they_are() -> None:
    from agentkit.gate import read_baseline
    from agentkit.scenario import load

    file = ROOT / "reports/baseline.json"
    assert file.stat().st_size < 100_000
    assert dict(read_baseline(file).scenarios) == {it.id: it.hash for it in load([ROOT / "scenarios"])}
