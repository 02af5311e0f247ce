"""The code rubric: what a model wrote is compiled and tested in the sandbox, and cannot lie its way to the points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import RewardError, SandboxError
from agentkit.grade import RewardStep, same_twice
from agentkit.records import Message
from tests.rewards.real_steps import rubric

TESTS = """
from solution import add, first


def test_add():
    assert add(2, 3) == 5


def test_add_more():
    assert add(-1, 1) == 0
    assert type(add(1, 1)) is int


def test_first():
    assert first(["a", "b"]) == "a"


def test_first_of_none():
    try:
        first([])
    except IndexError:
        return
    raise AssertionError
"""
RIGHT = "def add(a, b):\n    return a + b\n\ndef first(items):\n    return items[0]\n"


def answer(code: str, tests: Any = TESTS) -> RewardStep:
    text = f"Here it is:\n\n```python\n{code}\n```\n"
    return RewardStep((Message("user", "write add"),), text, reply=text, variables={"tests": tests})


def of_code(step: RewardStep) -> dict[str, float]:
    return dict(rubric("code").score(step).parts)


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_right_solution_gets_all_points_and_half_of_one_gets_its_share() -> None:
    assert of_code(answer(RIGHT)) == {"one_block": 1, "compiles": 1, "tests_pass": 1}
    assert of_code(answer(RIGHT.replace("a + b", "a - b")))["tests_pass"] == 0.5
    assert of_code(answer(RIGHT.replace("items[0]", "1 / 0")))["tests_pass"] == 0.5
    assert same_twice(rubric("code"), [answer(RIGHT)]) == ()


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_what_is_no_code_gets_nothing() -> None:
    prose = replace(answer(RIGHT), reply="I would add them.")
    assert set(of_code(prose).values()) == {0}
    two = replace(answer(RIGHT), reply=answer(RIGHT).reply * 2)
    assert set(of_code(two).values()) == {0}
    assert of_code(answer("def add(a, b:\n    return")) == {"one_block": 1, "compiles": 0, "tests_pass": 0}
    assert of_code(answer("(" * 10_000))["compiles"] == 0


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    "code",
    [
        "import os\nos._exit(0)",
        "import sys\nsys.exit(0)",
        "print('4 passed')",
        "raise SystemExit",
        "class Yes(int):\n    __eq__ = lambda self, other: True\ndef add(a, b): return Yes(7)\nfirst = add",
        "import builtins\nbuiltins.AssertionError = None\ndef add(a, b): return None\ndef first(i): return None",
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
        "import os, signal\nos.kill(-1, signal.SIGKILL)",
        "import gc, sys, json\nmain = sys.modules['__main__']\nprint(json.dumps({'word': main.given['word']}))",
        "open('/tmp/solution_result', 'w').write('passed')\nimport os\nos.write(1, b'{}')",
        "import os\nprint(open(f'/proc/{os.getppid()}/fd/0').read())",
        "import os\nprint(open(f'/proc/{os.getppid()}/mem', 'rb').read(10))",
        "import os\nopen(f'/proc/{os.getppid()}/fd/1', 'w').write('x')\ndef add(a, b): return a + b",
    ],
)
def test_no_solution_can_lie_its_way_to_the_points(code: str) -> None:
    assert of_code(answer(code))["tests_pass"] == 0


@pytest.mark.usefixtures("sandbox")
def test_the_solution_finds_neither_the_tests_nor_the_word() -> None:
    spy = """
import os, pathlib
def add(a, b):
    seen = []
    for place in [*pathlib.Path("/proc").glob("[0-9]*/fd/*"), *pathlib.Path("/proc").glob("[0-9]*/environ"),
                  *pathlib.Path("/tmp").rglob("*")]:
        try:
            if place.is_file():
                seen.append(open(place, errors="replace").read(100_000))
        except OSError:
            pass
    raise ValueError("found" if any("test" + "_add" in text for text in seen) else f"nothing in {len(seen)}")
"""
    tests = """
from solution import add

def test_add():
    try:
        add(1, 2)
    except ValueError as error:
        assert str(error).startswith("nothing in "), error
        assert int(str(error).split()[-1]) > 1
"""
    assert of_code(answer(spy, tests))["tests_pass"] == 1


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_test_that_hangs_fails_and_the_others_count() -> None:
    code = "def add(a, b):\n    while True: pass\n\ndef first(items):\n    return items[0]\n"
    assert of_code(answer(code))["tests_pass"] == 0.5


@pytest.mark.usefixtures("sandbox")
def test_tests_that_are_none_are_the_users_mistake_and_no_zero() -> None:
    with pytest.raises(RewardError, match="holds no function called `test_…`"):
        of_code(answer(RIGHT, "assert True"))
    with pytest.raises(RewardError, match="the tests cannot be run: NameError"):
        of_code(answer(RIGHT, "def test_x():\n    pass\n\nnonsense\n"))
    assert "tests_pass" not in of_code(answer(RIGHT, None))


def test_without_a_sandbox_code_is_refused_and_gets_no_zero(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
        of_code(answer(RIGHT))
