"""What is wrong around the scenarios: worlds, suite files, folders and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.scenario_files import REFUND, WORLD, problems_of, write_suite


def test_a_broken_world_is_not_blamed_on_the_calls_that_need_it(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "shop", world="import no_such_module_anywhere\n")
    (problem,) = problems_of(folder)
    assert (Path(problem.file).name, problem.line) == ("world.py", 1)
    assert "cannot be imported: ModuleNotFoundError" in problem.message


@pytest.mark.parametrize(
    ("world", "line", "message"),
    [
        ("def f(:\n", 1, "cannot be imported: SyntaxError"),
        ("x = 1\n\n\ny = 1 / 0\n", 4, "cannot be imported: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", 2, "cannot be imported: SystemExit: 3"),
        ("x = 1\n", None, "must define TOOLS"),
        ("TOOLS = []\n", None, "must define TOOLS"),
        ("TOOLS = [3]\n", None, "a tool is a named function"),
        ("def f():\n    pass\nTOOLS = [f]\n", 1, "f: a tool's first parameter is the state"),
        ("def f(state, *rest: int):\n    pass\nTOOLS = [f]\n", 1, "'rest' must be an ordinary one"),
        ("\ndef f(state, x: 'Nowhere'):\n    pass\nTOOLS = [f]\n", 2, "f: its type hints cannot be read"),
        ("def f(state, x: object):\n    pass\nTOOLS = [f, f]\n", 1, "f: two tools of this name"),
        ('def f(state, x: int):\n    """F.\n\n    Args:\n        y: It."""\nTOOLS = [f]\n', 1, "describes 'y'"),
    ],
)
def test_a_world_that_cannot_be_used(tmp_path: Path, world: str, line: int | None, message: str) -> None:
    problems = problems_of(write_suite(tmp_path / "shop", world=world))
    assert [(Path(problem.file).name, problem.line) for problem in problems] == [("world.py", line)]
    assert message in problems[0].message


@pytest.mark.parametrize(
    ("suite", "line", "message"),
    [
        ("title: Shop\nworld: wrold.py\n", 2, "no file 'wrold.py' here (did you mean 'world.py'?)"),
        ("title: Shop\npolicy: polcy.md\n", 2, "(did you mean 'policy.md'?)"),
        ("titel: Shop\n", 1, "unknown key 'titel' (did you mean 'title'?)"),
        ("title: [a\n", 2, "not valid YAML"),
    ],
)
def test_a_suite_file_that_cannot_be_used(tmp_path: Path, suite: str, line: int, message: str) -> None:
    problems = problems_of(write_suite(tmp_path / "shop", suite=suite))
    assert all(Path(problem.file).name == "suite.yaml" for problem in problems)
    assert any(problem.line == line and message in problem.message for problem in problems)


def test_a_state_that_cannot_be_made_or_copied(tmp_path: Path) -> None:
    world = WORLD.replace('return {"sales": {}, "refunds": [], **state}', 'return {"open": lambda: None}')
    (problem,) = problems_of(write_suite(tmp_path / "a", world=world))
    assert (problem.field, "the state cannot be copied" in problem.message) == ("world", True)
    world = WORLD.replace('return {"sales": {}, "refunds": [], **state}', 'return state["nothing"]')
    (problem,) = problems_of(write_suite(tmp_path / "b", world=world))
    assert "initial_state failed: KeyError: 'nothing'" in problem.message


def test_calls_without_a_world(tmp_path: Path) -> None:
    problems = problems_of(write_suite(tmp_path / "shop", suite="title: Shop\n"))
    assert {problem.message for problem in problems} == {
        "the tool 'lookup_sale' is named, but the suite has no world",
        "the tool 'refund' is named, but the suite has no world",
    }


def test_paths_that_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no scenario here" in problems_of(tmp_path / "empty")[0].message
    assert "no file or folder is named" in problems_of()[0].message
    write_suite(tmp_path / "shop")
    (problem,) = problems_of(tmp_path / "shp")
    assert problem.message == "no such file or folder (did you mean 'shop'?)"
    (problem,) = problems_of(tmp_path / "shop" / "policy.md")
    assert "not a scenario" in problem.message


def test_a_file_too_large_is_never_read(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "shop")
    with (folder / "huge.yaml").open("wb") as stream:
        stream.truncate(50_000_000)
    (problem,) = problems_of(folder)
    assert problem.message == "the file has 50.0 MB, while a scenario may hold 1 MB"


def test_files_that_are_no_text(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "shop")
    (folder / "bytes.yaml").write_bytes(b"title: x\nturns: \xff\n")
    (folder / "control.yaml").write_bytes(b"title: x\nturns: \x07\n")
    utf8, control = problems_of(folder)
    assert (utf8.line, utf8.message) == (2, "not UTF-8: byte 0xff here is no character")
    assert (control.line, "U+0007 is not allowed" in control.message) == (2, True)


def test_a_file_name_that_cannot_be_an_id(tmp_path: Path) -> None:
    (problem,) = problems_of(write_suite(tmp_path / "shop", {"my refund.yaml": REFUND}))
    assert "'shop/my refund' cannot be an id" in problem.message
