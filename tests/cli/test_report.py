"""`agentkit report` as a user runs it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def played(cli: Cli, accuracy: str = "0.8") -> None:
    arguments = ("run", "--agent", f"scripted:{accuracy}", "--trials", "12", "--seed", "3")
    assert cli(*arguments).returncode == 0


@pytest.mark.slow
def test_a_report_is_written_where_asked_and_else_in_reports(cli: Cli, project: Path) -> None:
    played(cli)
    done = cli("report", "-o", "out/here.html")
    assert done.returncode == 0
    assert done.stdout.startswith("out/here.html: 0.")
    assert "scripted:0.8" in (project / "out" / "here.html").read_text(encoding="utf-8")
    done = cli("report", "last")
    assert done.returncode == 0
    (file,) = (project / "reports").glob("*.html")
    assert done.stdout.startswith(f"reports/{file.name}: ")


@pytest.mark.slow
def test_against_a_baseline_the_page_says_what_the_gate_says(cli: Cli, project: Path) -> None:
    played(cli, "1.0")
    base = cli("runs").stdout.split()[0]
    played(cli, "0.2")
    assert cli("report", "--baseline", base, "-o", "run.html").returncode == 0
    text = (project / "run.html").read_text(encoding="utf-8")
    assert '<p class="outcome fail">Fail</p>' in text
    assert "Against the baseline" in text
    assert f"scripted:1.0, run {base}" in text
    assert '"conversations":true' in text
    assert "Got worse: " in text
    assert cli("baseline", base).returncode == 0
    assert cli("report", "--baseline", "reports/baseline.json", "-o", "file.html").returncode == 0
    assert "The baseline is a file, which holds no conversations" in (project / "file.html").read_text(encoding="utf-8")


def test_mistakes_are_told_before_any_work(cli: Cli, project: Path) -> None:
    played(cli)
    assert "no such baseline" in cli("report", "--baseline", "nothing.json").stderr
    assert "is a folder" in cli("report", "-o", "scenarios").stderr
    (project / "file").write_text("")
    done = cli("report", "-o", "file/run.html")
    assert done.returncode == 2
    assert "cannot be made" in done.stderr
    assert cli("report", "20990101").returncode == 2


def test_without_the_library_that_draws_it_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = cli("report")
    assert done.returncode == 2
    assert "pip install 'agentkit-reliability[report]'" in done.stderr
