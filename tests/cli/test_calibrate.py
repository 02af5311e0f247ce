"""`agentkit calibrate`, and what gates make of LLM judges before and after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.judged_runs import STEP, record_run

GOOD = [number % 5 > 0 for number in range(100)]
BAD = [number % 5 > 2 for number in range(100)]


@pytest.fixture
def judged(bare: Cli, tmp_path: Path) -> Cli:
    """A run that the judge passes in 80 %, and one in 40 %."""
    record_run(tmp_path, "good", GOOD)
    record_run(tmp_path, "bad", BAD)
    return bare


def label(folder: Path, many: int, **changes: object) -> None:
    """People agree with the judge, except of every tenth reply."""
    lines = [{"run": "good", "trial": n, "step": STEP, "pass": GOOD[n] != (n % 10 == 9)} | changes for n in range(many)]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)))


def test_before_it_the_judge_only_advises(judged: Cli) -> None:
    done = judged("gate", "bad", "--baseline", "good", "--step", STEP, "--json", "-")
    found = json.loads(done.stdout)
    by_name = {it["name"]: it for it in found["criteria"]}
    advice = by_name["step shop/chat/golden#kind"]
    assert (advice["blocking"], advice["outcome"]) == (False, "fail")
    assert "compounded accuracy" not in by_name
    assert by_name["observed success"]["outcome"] == "pass"
    assert done.returncode == 0
    assert any("an LLM judge graded it that was not calibrated" in note for note in found["notes"])
    shown = judged("gate", "bad", "--baseline", "good", "--step", STEP)
    assert "advice: step shop/chat/golden#kind 80 % → 40 %" in shown.stdout


def test_after_it_the_judge_blocks_and_its_rate_is_corrected(judged: Cli, tmp_path: Path) -> None:
    label(tmp_path, 60)
    done = judged("calibrate", "labels.jsonl")
    assert done.returncode == 0, done.stderr
    assert "the judge wise against 60 human labels: sensitivity 100 % (" in done.stdout
    assert "specificity 66.7 % (" in done.stdout
    gated = judged("gate", "bad", "--baseline", "good", "--step", STEP)
    assert gated.returncode == 1
    assert "of 100 replies of the candidate it passed 40 %; people would pass about" in gated.stdout


def test_another_judge_or_step_is_not_covered(judged: Cli, tmp_path: Path) -> None:
    label(tmp_path, 60)
    judged("calibrate", "labels.jsonl")
    record_run(tmp_path, "other", BAD, judge="fool")
    done = judged("gate", "other", "--baseline", "good")
    assert done.returncode == 0
    assert "fool judged it, and wise is the judge that was calibrated" in done.stdout


def test_a_baseline_that_another_judge_graded_is_advice(judged: Cli, tmp_path: Path) -> None:
    label(tmp_path, 60)
    judged("calibrate", "labels.jsonl")
    record_run(tmp_path, "other", GOOD, judge="fool")
    judged("baseline", "other", "-o", "other.json")
    for base in ("other", "other.json"):
        done = judged("gate", "bad", "--baseline", base, "--step", STEP)
        assert done.returncode == 0, done.stdout
        assert "fool judged it, and wise is the judge that was calibrated" in done.stdout
    judged("baseline", "good", "-o", "same.json")
    assert judged("gate", "bad", "--baseline", "same.json", "--step", STEP).returncode == 1
    old = json.loads((tmp_path / "other.json").read_text())
    del old["judge"], old["tags"]
    for scenario in old["scenarios"].values():
        scenario["tags"] = []
    (tmp_path / "old.json").write_text(json.dumps(old | {"schema": 2}))
    assert judged("gate", "bad", "--baseline", "old.json", "--step", STEP).returncode == 1


def test_fewer_than_fifty_labels_calibrate_nothing(judged: Cli, tmp_path: Path) -> None:
    label(tmp_path, 49)
    done = judged("calibrate", "labels.jsonl")
    assert (done.returncode, "found 49 human labels, expected 50 or more" in done.stderr) == (3, True)
    assert not (tmp_path / "reports/judge.json").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"run": "good"', "labels.jsonl:2: not valid JSON"),
        ('{"run": "good"}', "expected a mapping with pass, run, step, trial"),
        ('{"run": "goood", "trial": 1, "step": "kind", "pass": true}', "(did you mean 'good'?)"),
        ('{"run": "good", "trial": 1, "step": "kin", "pass": true}', "has no step 'kin' (did you mean 'kind'?)"),
        ('{"run": "good", "trial": 1, "step": "done", "pass": true}', "'done' was decided by state, not by a judge"),
        ('{"run": "good", "trial": 1, "step": "kind", "pass": 1}', "pass: found 1, expected true or false"),
        ('{"run": "good", "trial": 0, "step": "kind", "pass": true}', "line 1 labels the same"),
    ],
)
def test_bad_labels_are_told_by_line(judged: Cli, tmp_path: Path, line: str, said: str) -> None:
    label(tmp_path, 1)
    with (tmp_path / "labels.jsonl").open("a") as file:
        file.write(f"\n{line}\n")
    done = judged("calibrate", "labels.jsonl")
    assert (done.returncode, said in done.stderr, "labels.jsonl:2" in done.stderr) == (2, True, True), done.stderr


def test_a_calibration_that_was_tampered_with_is_refused(judged: Cli, tmp_path: Path) -> None:
    file = tmp_path / "reports/judge.json"
    file.parent.mkdir()
    counts = {"both_pass": 9, "only_people_pass": 1, "only_judge_passes": 1, "both_fail": 9}
    whole = {"schema": 1, "judge": "wise", "created_at": "", "labels": {"shop/chat#kind": counts}}
    for changes, said in (
        ({}, "labels: found 20 labels, expected 50 or more"),
        ({"schema": 2}, "schema: found 2, expected 1"),
        ({"labels": {"x": {"both_pass": -1}}}, "labels.x: found"),
        ({"more": 1}, "more: unknown key"),
    ):
        file.write_text(json.dumps(whole | changes))
        done = judged("gate", "bad", "--baseline", "good")
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
