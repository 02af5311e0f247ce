"""`agentkit plan`: trials and what they take, before anything is spent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.mark.slow
def test_the_golden_play_tells_where_no_run_does(cli: Cli) -> None:
    done = cli("plan", "--detect", "0.05", "--accuracy", "0.9", "--json", "-")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["two_samples"]["units"] == 686
    assert found["two_samples"]["each"] == 229
    assert "golden play" in found["estimated_by"]
    moves = {it["variant"]: it["calls"] for it in found["by_variant"]}
    assert set(moves) == {"golden", "in_a_hurry", "changes_mind"}
    assert found["pairs"]["calls"] == found["pairs"]["each"] * sum(moves.values())
    assert (found["pairs"]["tokens"], found["pairs"]["cost"]) == (None, None)


def test_an_earlier_run_tells_more(cli: Cli) -> None:
    cli("run", "--agent", "scripted:0.9", "--trials", "10", "--detours", "none")
    done = cli("plan", "--trials", "100", "--agent", "scripted:0.9")
    assert done.returncode == 0, done.stderr
    assert "100 trials a side show a drop" not in done.stdout
    assert "300 trials a side show a drop" in done.stdout
    said = " ".join(done.stdout.split())
    assert "of scripted:0.9, by its mean for 2 variants that it did not play" in said
    assert "10 of 10 there, taken as 95.5 %" in said
    assert "a candidate that is no different is shown to be less than 10 points worse" in done.stdout


def test_what_an_earlier_run_could_not_see_is_unknown(cli: Cli) -> None:
    cli("run", "--agent", "my-agent", "--trials", "2", "--detours", "none")
    done = cli("plan", "--trials", "100", "--agent", "my-agent", "--json", "-")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["pairs"]
    assert found["calls"] > 0
    assert (found["tokens"], found["cost"]) == (None, None)


def test_what_finds_no_place_is_told(cli: Cli, project: Path) -> None:
    (project / "bare").mkdir()
    (project / "bare" / "suite.yaml").write_text("title: A shop without tools\n")
    (project / "bare" / "hello.yaml").write_text(
        "title: A greeting\nturns:\n  - id: greet\n    user: Good morning!\n"
        "    steps: [{id: answer, reply: {mentions: [hello]}}]\noutcome: [{id: polite, reply: {mentions: [hello]}}]\n"
    )
    done = cli("plan", "bare", "--trials", "100", "--detours", "none,tool:error", "--json", "-")
    assert (done.returncode, json.loads(done.stdout)["variants"]) == (0, 1), done.stderr
    assert "not counted, for want of a place to disturb: tool:error in bare/hello (it has no tool)" in done.stderr


def test_forks_tell_nothing_of_what_a_conversation_takes(cli: Cli) -> None:
    cli("run", "--fork", "--agent", "scripted:1", "--trials", "2", "--detours", "none")
    done = cli("plan", "--trials", "100", "--from", "last")
    assert done.returncode == 2
    assert "played forks, which are single turns; expected a run of whole conversations" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "expected either --detect"),
        (("--detect", "0.05", "--trials", "5"), "expected either --detect"),
        (("--trials", "1", "--detours", "none"), "1 trials cannot show even a drop"),
        (("--detect", "0.95", "--accuracy", "0.5"), "found a drop of 0.95 from an accuracy of 0.5"),
        (("--detect", "0.05", "--from", "last"), "no run is recorded yet"),
        (("--detect", "0.05", "--tag", "orders", "--tag", "ordres"), "no scenario has the tag 'ordres'"),
    ],
)
def test_bad_input(cli: Cli, project: Path, arguments: tuple[str, ...], said: str) -> None:
    done = cli("plan", *arguments)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
