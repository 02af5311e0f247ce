"""What is ours is private, wherever it lies."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.sandbox import run_sandboxed
from agentkit.sandbox.private import private_folders

_LIST = """
import json, os, sys
place = sys.stdin.read()
print(os.listdir(place))
try:
    open(place + "/mine", "w")
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_home_and_the_working_folder_with_its_projects_are_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tmp_path / "project" / "part" / "deep"
    start.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()
    monkeypatch.chdir(start)
    assert list(private_folders()) == [tmp_path / "home", start, tmp_path / "project"]
    start.rmdir()
    assert list(private_folders()) == [tmp_path / "home"]


def _of_the_system() -> tuple[Path, str]:
    """A folder that holds folders, and its place inside."""
    below = (it.parent for it in sorted(Path("/usr/share").glob("*/*")) if it.is_dir() and it.resolve() == it)
    folder = next(below)
    return folder, str(folder)


def _of_the_interpreter() -> tuple[Path, str]:
    folder = Path(os.__file__).parent / "xml"
    return folder, f"/python/{folder.relative_to(sys.base_prefix)}"


@pytest.mark.parametrize("which", [_of_the_system, _of_the_interpreter])
@pytest.mark.usefixtures("sandbox")
def test_a_private_folder_among_those_of_the_system_is_empty_inside(
    which: Callable[[], tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, inside = which()
    assert run_sandboxed(_LIST, stdin=inside).stdout.splitlines()[0] != "[]"
    monkeypatch.chdir(folder)
    result = run_sandboxed(_LIST, stdin=inside)
    empty, refused = result.stdout.splitlines()
    assert (empty, refused) in {("[]", "OSError"), ("[]", "PermissionError")}, result


@pytest.mark.usefixtures("sandbox")
def test_a_working_folder_that_holds_the_system_leaves_it_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("/", "/usr", "/usr/share"):
        monkeypatch.chdir(folder)
        assert run_sandboxed("import json, decimal; print('well')").stdout == "well\n"
