"""Forks and replays on the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Cli
from tests.cli.test_survival import _without_ids, kill_after_some_trials, played, slow_down

FORK = ["run", "--fork", "--agent", "scripted:0.8", "--trials", "6", "--seed", "3"]


@pytest.mark.slow
def test_a_forked_run_beside_whole_plays(cli: Cli) -> None:
    whole = json.loads(cli("run", "--agent", "scripted:0.8", "--trials", "6", "--seed", "3", "--json", "-").stdout)
    done = cli(*FORK)
    assert done.returncode == 0, done.stderr
    assert "forks, each a turn from a right history" in done.stdout
    assert "compounded, each step given a right history" in done.stdout
    assert "observed success" not in done.stdout
    forks = json.loads(cli("show", "last", "--json", "-").stdout)
    assert forks["forks"] == forks["planned"]
    assert {it["reached"] for it in forks["steps"]} == {6}
    assert forks["all"]["observed"]["estimate"] is None
    shown = cli("show", "last", "--against", whole["run_id"])
    assert shown.returncode == 0, shown.stderr
    assert "cost of error propagation" in shown.stdout
    document = json.loads(cli("show", "last", "--against", whole["run_id"], "--json", "-").stdout)
    assert document["forked"]["run_id"] == forks["run_id"]
    assert document["full"] == whole
    assert {"golden", "off_path", "all"} == document["propagation"]["groups"].keys()


@pytest.mark.slow
def test_forks_are_no_side_of_a_gate_and_what_to_do_instead_is_said(cli: Cli) -> None:
    cli("run", "--agent", "scripted:1", "--trials", "2")
    cli("baseline", "last")
    cli(*FORK)
    run = json.loads(cli("show", "last", "--json", "-").stdout)["run_id"]
    commands = (
        ("gate", "last"),
        ("gate", "reports/baseline.json", "--baseline", run),
        ("gate", "--sequential", "--resume", run),
        ("baseline", run, "-o", "forks.json"),
        ("report", run, "--baseline", "reports/baseline.json"),
    )
    for command in commands:
        done = cli(*command)
        assert done.returncode == 2, command
        assert f"run {run} played forks: single turns" in done.stderr, command
        assert "expected a run of whole conversations (agentkit run without --fork)" in done.stderr
        assert f"agentkit show {run} --against RUN" in done.stderr


def test_show_one_fork(cli: Cli) -> None:
    cli(*FORK)
    shown = cli("show", "last", "--trial", "orders/cancel/golden/2#0")
    assert shown.returncode == 0, shown.stderr
    assert "golden agent: " in shown.stdout
    assert "turn 1  given" in shown.stdout
    assert "given: the golden agent played this turn" in shown.stdout
    assert "outcome" not in shown.stdout


def test_forks_of_different_turns_are_no_repeats_and_no_conversations(cli: Cli) -> None:
    cli("run", "--fork", "--agent", "scripted:1", "--trials", "2", "--detours", "none")
    told = cli("show", "--flaky").stdout
    assert "no step was graded twice under the same conditions" in told
    assert "orders/cancel/golden: forks play no whole conversation" in told
    cli("run", "--fork", "--agent", "scripted:1", "--trials", "2", "--detours", "none", "--samples", "2")
    assert "no step is flaky" in cli("show", "--flaky").stdout


def test_a_replay(cli: Cli) -> None:
    cli("run", "--agent", "scripted:0", "--trials", "1")
    whole = json.loads(cli("show", "last", "--trial", "0", "--json", "-").stdout)
    step = whole["steps"][0]["step"]
    done = cli("replay", "0", "--at", step, "--agent", "scripted:1", "--samples", "4")
    assert done.returncode == 0, done.stderr
    assert "4 of 4" in done.stdout
    assert "failed" in done.stdout
    document = json.loads(
        cli("replay", "0", "--at", step, "--agent", "scripted:1", "--samples", "4", "--json", "-").stdout
    )
    assert document["agent"] == "scripted:1"
    assert document["recorded"]["status"] == "failed"
    assert len(document["samples"]) == 4
    tally = {it["step"]: it for it in document["steps"]}[step]
    assert (tally["passed"], tally["graded"], tally["recorded"]) == (4, 4, "failed")
    assert tally["low"] == pytest.approx(0.5101, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--fork", "--repeats", "3"], "use --samples"),
        (["run", "--samples", "3"], "--samples goes with --fork"),
        (["run", "--after", "each"], "--after goes with --fork"),
        (["run", "--fork", "--after", "all"], "--after"),
        (["run", "--resume", "last", "--fork"], "--resume takes fork"),
        (["replay", "0", "--at", "keeps_calm"], "the trial has no step"),
        (["replay", "zz", "--at", "x"], "no trial 'zz'"),
        (["replay", "orders/cancl/golden#0", "--at", "x"], "did you mean 'orders/cancel/golden'"),
        (["replay", "0", "--at", "look_up", "--agent", "scripted:2"], "P from 0 to 1"),
        (["show", "last", "--against", "last"], "expected a run of forks"),
    ],
)
def test_a_mistake_with_forks_is_told_without_a_traceback(cli: Cli, arguments: list[str], said: str) -> None:
    cli("run", "--agent", "scripted:1", "--trials", "1", "--detours", "none")
    done = cli(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_scenario_that_changed_is_replayed_only_if_told(cli: Cli, project: Path) -> None:
    cli("run", "--agent", "scripted:1", "--trials", "1", "--detours", "none")
    step = json.loads(cli("show", "last", "--trial", "0", "--json", "-").stdout)["steps"][0]["step"]
    file = project / "scenarios" / "orders" / "cancel.yaml"
    file.write_text(file.read_text().replace("Yes, that is the one.", "Yes."))
    refused = cli("replay", "0", "--at", step)
    assert refused.returncode == 2
    assert "orders/cancel changed" in refused.stderr
    assert "--accept" in refused.stderr
    assert cli("replay", "0", "--at", step, "--accept").returncode == 0


def test_forks_are_not_graded_again(cli: Cli) -> None:
    cli(*FORK)
    refused = cli("grade", "last")
    assert refused.returncode == 2
    assert "forks" in refused.stderr


@pytest.mark.slow
def test_kill_minus_nine_changes_nothing_of_a_forked_run(cli: Cli, project: Path) -> None:
    slow_down(project)
    told = [*FORK[:-4], "--trials", "30", "--seed", "7", "--concurrency", "2"]
    assert cli(*told, "--store", "sqlite:///whole.db").returncode == 0
    store = project / "killed.db"
    url = f"sqlite:///{store}"
    assert kill_after_some_trials([*COMMAND, *told, "--store", url], project, store, 1)
    for more in (0, 3, 5):
        kill_after_some_trials([*COMMAND, "run", "--resume", "last", "--store", url], project, store, more)
    assert 0 < played(store) < played(project / "whole.db")
    assert cli("run", "--resume", "last", "--store", url).returncode == 0
    assert recorded(cli, url) == recorded(cli, "sqlite:///whole.db")


def recorded(cli: Cli, store: str) -> list[object]:
    """Every fork without times and ids, and without what only one sitting could share with another fork."""
    planned = json.loads(cli("show", "last", "--store", store, "--json", "-").stdout)["planned"]
    found = []
    for index in range(planned):
        trial = json.loads(cli("show", "last", "--store", store, "--trial", str(index), "--json", "-").stdout)
        trial["fork"].pop("shared")
        found.append(_without_ids(trial))
    return found
