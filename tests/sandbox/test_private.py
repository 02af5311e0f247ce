"""What is ours is private, wherever it lies."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.sandbox import keep_private, private, run_sandboxed
from agentkit.sandbox.private import private_folders
from agentkit.scenario import load
from agentkit.scenario.rewards import read_sources
from agentkit.store import Store
from tests.scenario.scenario_files import write_suite

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
    monkeypatch.setattr(private, "_private", {})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_home_and_the_working_folder_with_its_projects_are_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tmp_path / "project" / "part" / "deep"
    start.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()
    monkeypatch.chdir(start)
    expected = {tmp_path / "home", start, tmp_path / "project"}
    assert set(private_folders()) == expected
    monkeypatch.chdir(tmp_path)
    assert set(private_folders()) == {*expected, tmp_path}


def test_so_are_the_folders_of_scenarios_rewards_and_the_store(tmp_path: Path) -> None:
    load([write_suite(tmp_path / "shop") / "refund.yaml"])
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "one.py").touch()
    read_sources("one", tmp_path / "good")
    Store.open(f"sqlite:///{tmp_path}/kept/runs.db").close()
    assert {tmp_path / "shop", tmp_path / "good", tmp_path / "kept"} <= set(private_folders())


def test_a_link_is_followed_and_a_file_stands_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    keep_private(tmp_path / "link")
    assert tmp_path / "real" in private_folders()


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
    keep_private(next(it for it in folder.iterdir() if it.is_dir()))
    result = run_sandboxed(_LIST, stdin=inside)
    empty, refused = result.stdout.splitlines()
    assert (empty, refused) in {("[]", "OSError"), ("[]", "PermissionError")}, result


@pytest.mark.usefixtures("sandbox")
def test_a_working_folder_that_holds_the_system_leaves_it_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("/", "/usr", "/usr/share"):
        monkeypatch.chdir(folder)
        assert run_sandboxed("import json, decimal; print('well')").stdout == "well\n"
