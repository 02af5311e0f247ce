"""`pytest scenarios/`, run as a user runs it: in a process of its own, in a project of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[1] / "play" / "shop"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(SHOP, tmp_path / "scenarios" / "shop")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = "--strict-markers"\nasyncio_default_fixture_loop_scope = "function"\n'
    )
    return tmp_path


@pytest.fixture
def run(project: Path) -> Run:
    def run_(*arguments: str, agent: str = "scripted:1.0") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "--agentkit-agent", agent, "--agentkit-trials", "2", *arguments]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)

    return run_


@pytest.mark.slow
def test_scenarios_are_items(run: Run, project: Path) -> None:
    done = run("scenarios", "-v", "--junitxml", "junit.xml")
    assert done.returncode == 0, done.stdout
    assert "scenarios/shop/five.yaml::golden PASSED" in done.stdout
    assert "scenarios/shop/five.yaml::second_thoughts PASSED" in done.stdout
    assert "see: agentkit show " in done.stdout
    cases = ET.parse(project / "junit.xml").getroot().iter("testcase")
    properties = {case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")} for case in cases}
    assert properties["golden"]["compounded"] == "1.0000"
    assert properties["golden"]["valid_trials"] == "2"
    command = [Path(sys.executable).with_name("agentkit"), "show", "last"]
    shown = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "4 of 4 trials" in shown.stdout, shown.stderr


@pytest.mark.slow
def test_a_failing_item_shows_where_and_why(run: Run) -> None:
    done = run("scenarios/shop/five.yaml::golden", agent="scripted:0.0")
    assert done.returncode == 1
    for words in (
        "FAILED shop/five/golden by scripted:0.0: 2 of 2 trials fail at",
        "expected:",
        "found:",
        "    user: ",
    ):
        assert words in done.stdout
    assert "0 of 2 trials pass this step (0.00 to 0.66 at 95 %)" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "floor", "words"),
    [
        ("scripted:1.0", "0.1", "passed"),
        ("scripted:1.0", "0.9", "INCONCLUSIVE shop/five/golden"),
        ("scripted:0.0", "0.9", "is below 0.9"),
        ("scripted:1.0", "2", "found 2.0, expected a number from 0 to 1"),
    ],
)
def test_a_floor_is_held_against_the_interval(run: Run, agent: str, floor: str, words: str) -> None:
    done = run("scenarios", "-k", "golden", "--agentkit-min", floor, agent=agent)
    assert words in done.stdout + done.stderr
    assert (done.returncode == 0) == (words == "passed")


@pytest.mark.slow
def test_items_are_chosen_by_tag(run: Run, project: Path) -> None:
    file = project / "scenarios" / "shop" / "five.yaml"
    file.with_name("six.yaml").write_text("tags: [night-shift]\n" + file.read_text().replace("tags:", "# tags:"))
    for chosen in (("-k", "night-shift"), ("-m", "night_shift")):
        done = run("scenarios", "--collect-only", "-q", *chosen)
        assert "six.yaml::golden" in done.stdout
        assert "five.yaml" not in done.stdout, done.stdout


@pytest.mark.slow
def test_detours_of_the_catalogue_are_items_too(run: Run) -> None:
    done = run("scenarios", "-v", "--agentkit-detours", "none,tool:error@0.5")
    assert "five.yaml::tool:error@0.5 PASSED" in done.stdout
    assert "second_thoughts" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("word", ["second_thougths", "tool:eror", "tool@2"])
def test_a_word_that_names_no_detour_is_refused(run: Run, word: str) -> None:
    done = run("scenarios", "--agentkit-detours", f"none,{word}")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--agentkit-detours: " in done.stderr
    assert word in done.stderr
    done = run("scenarios", "--agentkit-detours", f"none,{word}", "-n", "1")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "could not judge golden: " in done.stdout
    assert word in done.stdout


@pytest.mark.slow
def test_a_detour_without_a_place_is_skipped(run: Run, project: Path) -> None:
    (project / "scenarios" / "bare").mkdir()
    (project / "scenarios" / "bare" / "suite.yaml").write_text("title: A shop without tools\n")
    (project / "scenarios" / "bare" / "hello.yaml").write_text(
        "title: A greeting\nturns:\n  - id: greet\n    user: Good morning!\n"
        "    steps: [{id: answer, reply: {mentions: [hello]}}]\noutcome: [{id: polite, reply: {mentions: [hello]}}]\n"
    )
    done = run("scenarios/bare", "-v", "-rs", "--agentkit-detours", "none,tool:error")
    assert "1 passed, 1 skipped" in done.stdout, done.stdout
    assert "for want of a place to disturb: it has no tool" in done.stdout


@pytest.mark.slow
def test_a_broken_file_fails_alone_and_says_what_is_wrong(run: Run, project: Path) -> None:
    file = project / "scenarios" / "shop" / "six.yaml"
    file.write_text(file.with_name("five.yaml").read_text().replace("outcome:", "outcom:"))
    done = run("scenarios", "-k", "golden")
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "did you mean 'outcome'?" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "words"), [("scriptd:1.0", "scriptd"), ("nobody", "nobody"), ("scripted:2", "scripted")]
)
def test_an_agent_that_is_none_is_no_pass(run: Run, agent: str, words: str) -> None:
    done = run("scenarios", "-k", "golden", agent=agent)
    assert done.returncode == 1
    assert "could not judge golden" in done.stdout
    assert words in done.stdout


@pytest.mark.slow
def test_stopping_and_going_on_with_what_failed(run: Run) -> None:
    first = run("scenarios", "-x", agent="scripted:0.0")
    assert "1 failed" in first.stdout
    assert "second_thoughts" not in first.stdout
    again = run("scenarios", "--lf", "-v")
    assert "five.yaml::golden PASSED" in again.stdout
    assert "second_thoughts PASSED" not in again.stdout


@pytest.mark.slow
def test_side_by_side(run: Run) -> None:
    done = run("scenarios", "-n", "2")
    assert "2 passed" in done.stdout, done.stdout


TESTS = """
import pytest
from agentkit.errors import UsageError
from agentkit.pytest_plugin.python import scenario_suite


def test_one(play_scenario):
    result = play_scenario("scenarios/shop/five.yaml", trials=3)
    result.assert_passed()
    figure = result.step(result.summary.steps[0].step)
    assert (figure.passed, figure.reached) == (3, 3)
    assert result.success.estimate == 1.0
    with pytest.raises(UsageError, match="has no step"):
        result.assert_passed("nonsense")


def test_a_failure_is_told(play_scenario):
    result = play_scenario("scenarios/shop/five.yaml", agent="scripted:0.0")
    with pytest.raises(AssertionError, match="FAILED shop/five/golden"):
        result.assert_passed()
    with pytest.raises(AssertionError, match="below 0.9"):
        result.assert_at_least(0.9)


@scenario_suite("scenarios/shop")
def test_all(scenario, play_scenario):
    play_scenario(scenario, trials=1).assert_passed()
"""


@pytest.mark.slow
def test_the_fixture_and_the_decorator(run: Run, project: Path) -> None:
    (project / "test_mine.py").write_text(TESTS)
    done = run("test_mine.py", "-v")
    assert "4 passed" in done.stdout, done.stdout
    assert "test_all[shop/five/second_thoughts] PASSED" in done.stdout


HEAVY = ("langgraph", "torch", "sqlalchemy", "opentelemetry", "scipy", "numpy")


@pytest.mark.slow
def test_collecting_imports_nothing_heavy(run: Run, project: Path) -> None:
    (project / "conftest.py").write_text(
        f"import sys\n\n\ndef pytest_collection_finish(session):\n"
        f"    assert session.items\n    assert not {set(HEAVY)} & set(sys.modules)\n"
    )
    done = run("scenarios", "--collect-only", "-p", "no:langsmith_plugin")  # which imports OpenTelemetry
    assert done.returncode == 0, done.stdout
    assert "2 tests collected" in done.stdout


def test_where_there_is_no_scenario_the_plugin_imports_nothing() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import agentkit.pytest_plugin; print(set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert eval(done.stdout) == {"agentkit", "agentkit.pytest_plugin"}
