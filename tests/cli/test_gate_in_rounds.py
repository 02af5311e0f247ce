"""`agentkit gate --sequential`: true pairs, played in rounds, stopped early, taken up again."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import BudgetExhausted
from agentkit.play import runner
from tests.cli.conftest import Cli


@pytest.fixture
def gated(cli: Cli, project: Path) -> Cli:
    """A project with a baseline of 60 trials."""
    assert cli("run", "--agent", "scripted:0.95", "--trials", "20", "--concurrency", "4").returncode == 0
    assert cli("baseline").returncode == 0
    return cli


def sequential(done: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)["sequential"]
    return found


@pytest.mark.slow
def test_a_collapse_is_stopped_and_what_it_saved_is_said(gated: Cli) -> None:
    done = gated("gate", "scripted:0.5", "--sequential")
    assert done.returncode == 1, done.stderr
    assert "the evidence suffices to stop" in done.stdout
    assert "stopped after 16 of 60 trials, in round 1, as the evidence sufficed: 44 trials (73 % of the" in done.stdout
    assert "round 1: 16 of 60 trials; compounded accuracy e = " in done.stderr
    later = gated("gate", "last")
    assert later.returncode == 3
    assert "is not finished (stopped): 16 of 60 trials" in later.stderr


@pytest.mark.slow
def test_no_change_plays_all_true_pairs_to_the_end(gated: Cli, project: Path) -> None:
    done = gated("gate", "scripted:0.95", "--sequential", "--batch", "30", "--json", "-")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(it["difference"]["paired"] and it["difference"]["estimate"] == 0 for it in found["criteria"])
    assert {name: found["sequential"][name] for name in ("played", "planned", "rounds", "early")} == {
        "played": 60,
        "planned": 60,
        "rounds": 2,
        "early": False,
    }
    assert gated("gate", "last").returncode == 0


@pytest.mark.slow
def test_adaptive_spends_each_trial_once_and_decides(gated: Cli) -> None:
    done = gated("gate", "scripted:0.7", "--sequential", "--adaptive", "--batch", "8", "--json", "-")
    assert done.returncode == 1, done.stderr
    assert 8 <= sequential(done)["played"] < 60
    same = gated("gate", "scripted:0.95", "--sequential", "--adaptive", "--batch", "25", "--json", "-")
    assert (same.returncode, sequential(same)["played"]) == (4, 60)


@pytest.mark.slow
def test_a_hard_limit_ends_it_with_a_verdict_and_resuming_says_so(gated: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    play, begun = runner.play_trial, 0

    async def limited(*arguments: Any) -> Any:
        nonlocal begun
        begun += 1
        if begun > 21:
            raise BudgetExhausted("no more")
        return await play(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "play_trial", limited)
        done = gated("gate", "scripted:0.95", "--sequential")
    assert done.returncode == 4
    assert "stopped after 21 of 60 trials, in round 1, as a hard limit was reached" in done.stdout
    again = gated("gate", "--sequential", "--resume", "last")
    assert again.returncode == 0, again.stderr
    assert "all 60 planned trials were played" in again.stdout
    assert "this further look is not in the error rates" in again.stdout


@pytest.mark.slow
def test_after_ctrl_c_it_goes_on_where_it_stood(gated: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    play, begun = runner.play_trial, 0

    async def interrupted(*arguments: Any) -> Any:
        nonlocal begun
        begun += 1
        if begun == 25:
            signal.raise_signal(signal.SIGINT)
        return await play(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "play_trial", interrupted)
        done = gated("gate", "scripted:0.95", "--sequential")
    assert done.returncode == 130
    assert "go on with: agentkit gate --sequential --resume" in done.stderr
    again = gated("gate", "--sequential", "--resume", "last", "--json", "-")
    assert again.returncode == 0, again.stderr
    assert (sequential(again)["played"], sequential(again)["planned"]) == (60, 60)


def test_what_cannot_be_paired_is_refused_before_anything_is_played(gated: Cli, project: Path) -> None:
    baseline = project / "reports/baseline.json"
    document = json.loads(baseline.read_text())
    for changes, options, code, said in (
        ({}, ("scripted:0.9", "--step", "lok_up"), 2, "no step 'lok_up' (did you mean 'look_up'?)"),
        ({}, ("scripted:0.9", "--safety", "lok_up=0.1"), 2, "no step 'lok_up' (did you mean 'look_up'?)"),
        ({}, ("sripted",), 2, "no agent is called 'sripted'"),
        ({}, ("scripted:0.9", "--resume", "last"), 2, "--resume takes CANDIDATE from the run itself"),
        ({}, ("scripted:0.9", "--user", "templated"), 3, "templated speaks in the candidate alone"),
        ({"seed": 99}, ("scripted:0.9",), 2, "instances are not those of its seed 99"),
    ):
        baseline.write_text(json.dumps(document | changes))
        done = gated("gate", *options, "--sequential")
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    baseline.write_text(json.dumps(document))
    scenario = project / "scenarios/orders/cancel.yaml"
    scenario.write_text(scenario.read_text().replace("title: ", "title: Now to ", 1))
    changed = gated("gate", "scripted:0.9", "--sequential")
    assert (changed.returncode, "so nothing was played: orders/cancel" in changed.stderr) == (3, True), changed.stderr
    runs = json.loads(gated("runs", "--json", "-").stdout)
    assert len(runs) == 1


@pytest.mark.slow
def test_a_safety_limit_of_a_scenario_that_the_baseline_lacks_is_noted_and_not_judged(
    gated: Cli, project: Path
) -> None:
    scenario = project / "scenarios/orders/cancel.yaml"
    (scenario.parent / "stop.yaml").write_text(scenario.read_text().replace("id: cancel\n", "id: stop_it\n"))
    done = gated("gate", "scripted:0.95", "--sequential", "--safety", "stop_it=0.05", "--safety", "look_up=0.5")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "safety look_up" in said
    assert "safety stop_it is not judged: no scenario of the baseline has the step" in said
    whole = gated("gate", "last", "--safety", "stop_it=0.05")
    assert (whole.returncode, "no step 'stop_it'" in whole.stderr) == (2, True), "nowhere in what was played"


@pytest.mark.slow
def test_rows_in_order_are_played_in_order_by_the_candidate_too(cli: Cli, project: Path) -> None:
    scenario = project / "scenarios/orders/cancel.yaml"
    drawn = "  item: {choice: [kettle, desk lamp, rain jacket, chess set]}\n"
    text = scenario.read_text()
    assert drawn in text
    scenario.write_text("rows: {file: items.csv, order: sequential}\n" + text.replace(drawn, ""))
    (scenario.parent / "items.csv").write_text("item\nkettle\ndesk lamp\nrain jacket\n")
    assert cli("run", "--agent", "scripted:0.95", "--trials", "20").returncode == 0
    assert cli("baseline").returncode == 0
    done = cli("gate", "scripted:0.95", "--sequential", "--batch", "30", "--json", "-")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["sequential"]["played"], found["sequential"]["planned"]) == (60, 60)
    assert all(it["difference"]["paired"] for it in found["criteria"])
    trials = [json.loads(cli("show", "last", "--trial", str(n), "--json", "-").stdout) for n in range(0, 12, 3)]
    assert [it["variables"]["item"] for it in trials] == ["kettle", "desk lamp", "rain jacket", "kettle"]
