"""The command line as a user runs it, in a project folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentkit.cli import main

COMMAND = [sys.executable, "-c", "from agentkit.cli import main; main()"]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


Cli = Callable[..., Done]


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `agentkit new` writes, by the real command in a real process. Not to be written to."""
    folder = tmp_path_factory.mktemp("new")
    subprocess.run([*COMMAND, "new", "shop"], cwd=folder, check=True, capture_output=True)
    return folder / "shop"


@pytest.fixture
def project(new_project: Path, tmp_path: Path) -> Path:
    """A new project of the test's own."""
    return shutil.copytree(new_project, tmp_path / "shop")


@pytest.fixture
def cli(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs `agentkit` in the project, inside this process: starting one costs seconds."""
    return _in(project, monkeypatch, capfd)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs `agentkit` in an empty folder, in the same way."""
    return _in(tmp_path, monkeypatch, capfd)


def _in(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    modules, path = set(sys.modules), list(sys.path)

    def run(*arguments: str, **environment: str) -> Done:
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["agentkit", *arguments])
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as stop:
                main()
        for name in set(sys.modules) - modules:
            if "shop" in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
        sys.path[:] = path
        captured = capfd.readouterr()
        return Done(int(stop.value.code or 0), captured.out, captured.err)

    return run
