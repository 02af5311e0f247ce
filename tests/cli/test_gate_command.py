"""`agentkit gate`, `compare` and `baseline`: verdicts by exit code, what is written of them, and bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as xml

import numpy as np
import pytest

from agentkit.gate import Recorded, write_baseline
from tests.cli.conftest import COMMAND, Cli
from tests.cli.judged_runs import record_run
from tests.cli.test_pipes import unread
from tests.gate.gate_records import played, record

RNG = np.random.default_rng(5)
MOSTLY = (RNG.random((200, 3)) < 0.95).astype(int).tolist()
SELDOM = (RNG.random((200, 3)) < 0.6).astype(int).tolist()
STEPS = ("find", "verify", "refund")


def side(grades: list[list[int]], agent: str = "v1", **told: object) -> Recorded:
    return record(played(grades, steps=STEPS, skills=(None, "verify_identity", None)), agent=agent, **told)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A baseline where it is looked for, and candidates beside it."""
    write_baseline(side(MOSTLY), tmp_path / "reports/baseline.json")
    write_baseline(side(MOSTLY, "same"), tmp_path / "same.json")
    write_baseline(side(SELDOM, "worse"), tmp_path / "worse.json")
    write_baseline(side(MOSTLY[:8], "few"), tmp_path / "few.json")
    write_baseline(side(MOSTLY, "other", digest="d2"), tmp_path / "other.json")
    return tmp_path


def configure(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.agentkit]\n{text}\n")


def test_a_version_that_is_no_different_passes(bare: Cli, files: Path) -> None:
    done = bare("gate", "same.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pass: compounded accuracy")
    assert "10 points lower is ruled out" in done.stdout
    assert not (files / ".agentkit").exists()


def test_a_worse_one_fails_and_says_where(bare: Cli, files: Path) -> None:
    done = bare("gate", "worse.json", "--step", "skill:verify_identity", "--json", "gate.json")
    assert done.returncode == 1
    assert done.stdout.startswith("fail: ")
    assert "steps that look worse" in done.stdout
    document = json.loads((files / "gate.json").read_text())
    assert (document["outcome"], document["exit_code"]) == ("fail", 1)
    assert [it["name"] for it in document["criteria"]] == [
        "compounded accuracy",
        "observed success",
        "step shop/refund/golden#verify",
    ]


def test_too_few_trials_are_inconclusive_and_what_it_would_take_is_said(bare: Cli, files: Path) -> None:
    done = bare("gate", "few.json")
    assert done.returncode == 4
    assert "more pairs would decide it" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("candidate", "code"), [("same", 0), ("worse", 1), ("other", 3), ("few", 4)])
def test_a_verdict_that_nobody_reads_to_its_end_is_what_it_was(files: Path, candidate: str, code: int) -> None:
    assert unread([*COMMAND, "gate", f"{candidate}.json"], cwd=files) == (code, "")


def test_a_changed_scenario_cannot_be_judged_unless_accepted(bare: Cli, files: Path) -> None:
    done = bare("gate", "other.json")
    assert done.returncode == 3
    assert "could not judge: changed since the baseline was written: shop/refund" in done.stdout
    accepted = bare("gate", "other.json", "--accept", "shop/refund")
    assert accepted.returncode == 0
    assert "changed since the baseline, accepted: shop/refund" in accepted.stdout


def test_other_users_cannot_be_judged_unless_accepted(bare: Cli, files: Path) -> None:
    write_baseline(replace(side(MOSTLY), users={"talker": "h1"}), files / "reports/baseline.json")
    write_baseline(replace(side(MOSTLY, "same"), users={"talker": "h2"}), files / "same.json")
    done = bare("gate", "same.json")
    assert done.returncode == 3
    assert "could not judge: the simulated users are not those of the baseline: talker has changed" in done.stdout
    assert bare("gate", "same.json", "--accept-user", "taker").returncode == 3
    accepted = bare("gate", "same.json", "--accept-user", "talker")
    assert accepted.returncode == 0
    assert "simulated users that differ, accepted: talker has changed" in accepted.stdout
    configure(files, 'gate.accept_users = ["talker"]')
    assert bare("gate", "same.json").returncode == 0


def test_compare_tells_the_same_and_decides_nothing(bare: Cli, files: Path) -> None:
    done = bare("compare", "reports/baseline.json", "worse.json", "--markdown", "told.md")
    assert done.returncode == 0
    assert done.stdout.startswith("fail: ")
    assert "### What got worse" in (files / "told.md").read_text()
    assert bare("compare", "reports/baseline.json", "other.json").returncode == 3


def test_settings_come_from_the_project_and_the_command_line_goes_first(bare: Cli, files: Path) -> None:
    configure(files, 'gate.baseline = "same.json"\ngate.margin = 0.01\ngate.min_effect = 0.01\ngate.steps = ["find"]')
    assert bare("gate", "reports/baseline.json").returncode == 4
    done = bare("gate", "reports/baseline.json", "--margin", "0.2", "--step", "verify", "--each", "--json", "-")
    assert done.returncode == 0, done.stderr
    names = [it["name"] for it in json.loads(done.stdout)["criteria"]]
    assert names[2:] == ["step shop/refund/golden#find", "step shop/refund/golden#verify"]


def test_every_kind_of_criterion_has_its_option(bare: Cli, files: Path) -> None:
    options = ("--pass-k", "2", "--cost", "--latency", "--safety", "refund=0.2", "--non-inferiority")
    done = bare("gate", "same.json", *options, "--json", "-")
    document = json.loads(done.stdout)
    names = [it["name"] for it in document["criteria"]]
    assert names[2:] == ["pass^2", "cost per success", "time per success", "safety refund"]
    assert document["mode"] == "non_inferiority"
    assert json.loads(bare("gate", "same.json", "--population", "--json", "-").stdout)["target"] == "population"


def test_safety_is_counted_where_the_baseline_has_no_such_trial_or_variant(bare: Cli, files: Path) -> None:
    fine, rude = [[1, 1, 1]] * 100, [[1, 1, 0]] * 20 + [[1, 1, 1]] * 40
    write_baseline(side(fine), files / "reports/baseline.json")
    write_baseline(side(fine + rude, "more"), files / "more.json")
    done = bare("gate", "more.json", "--safety", "refund=0.05")
    assert done.returncode == 1
    assert "safety refund: 20 of 160 failed" in done.stdout
    new = played(rude, steps=STEPS, variant="in_haste")
    write_baseline(record(played(fine, steps=STEPS), new, agent="new"), files / "new.json")
    assert bare("gate", "new.json", "--safety", "refund=0.05").returncode == 1
    step = 'step = "shop/refund/golden#refund", owner = "ann", reason = "flaky", expires = 2999-01-01'
    configure(files, f"quarantine = [{{{step}}}]")
    done = bare("gate", "new.json", "--safety", "refund=0.05")
    assert done.returncode == 1, "the step is set aside in one of its variants only"
    assert "safety refund: 20 of 60 failed" in done.stdout


def test_quarantine_is_loud_and_ends(bare: Cli, files: Path) -> None:
    step = 'step = "shop/refund/golden#verify", owner = "ann", reason = "flaky"'
    configure(files, f"quarantine = [{{{step}, expires = 2999-01-01}}]")
    done = bare("gate", "same.json", "--step", "verify", "--junit", "gate.xml")
    assert done.returncode == 0
    assert "! quarantined until 2999-01-01 by ann, so not judged: shop/refund/golden#verify (flaky)" in done.stdout
    cases = {case.get("name"): case for case in xml.parse(files / "gate.xml").iter("testcase")}
    assert cases["quarantine"].find("skipped") is not None
    configure(files, f"quarantine = [{{{step}, expires = 2026-01-01}}]")
    expired = bare("gate", "same.json")
    assert expired.returncode == 2
    assert "quarantine expired: shop/refund/golden#verify of ann" in expired.stderr


def test_markdown_says_what_got_worse_and_lets_nothing_of_foreign_text_act(bare: Cli, files: Path) -> None:
    agent = "@everyone <img src=x onerror=alert(1)> [a](http://evil) | `x`"
    write_baseline(side(SELDOM, agent), files / "hostile.json")
    done = bare("gate", "hostile.json", "--markdown", "-")
    text = done.stdout
    assert text.startswith("## ❌ agentkit gate: fail\n\nCompounded accuracy ")
    assert "| criterion | baseline | candidate | difference | interval | verdict |" in text
    assert "### What got worse" in text
    for active in ("<img", "@everyone", "[a](", "http://", " | `x`"):
        assert active not in text, active


def test_junit_shows_each_verdict_as_what_it_is(bare: Cli, files: Path) -> None:
    for candidate, counts in (("worse", ("2", "0")), ("few", ("2", "0")), ("other", ("0", "1")), ("same", ("0", "0"))):
        bare("gate", f"{candidate}.json", "--junit", "new/gate.xml")
        suite = xml.parse(files / "new/gate.xml").getroot()[0]
        assert (suite.get("failures"), suite.get("errors")) == counts, candidate
    bare("gate", "few.json", "--junit", "gate.xml")
    kinds = {failure.get("type") for failure in xml.parse(files / "gate.xml").iter("failure")}
    assert kinds == {"inconclusive"}


def test_bad_files_are_named_with_what_is_wrong(bare: Cli, files: Path) -> None:
    (files / "cut.json").write_bytes((files / "same.json").read_bytes()[:400])
    document = json.loads((files / "same.json").read_text())
    (files / "newer.json").write_text(json.dumps(document | {"schema": 99}))
    for name, said in (
        ("smae.json", "smae.json: no such baseline (did you mean 'same.json'?)"),
        ("cut.json", "not valid JSON"),
        ("newer.json", "newer.json: schema: found 99, expected 4"),
    ):
        done = bare("gate", name)
        assert done.returncode == 2
        assert said in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gate", "same.json", "--step", "verfy"), "no step 'verfy' (did you mean 'verify'?)"),
        (("gate", "same.json", "--safety", "verify"), "--safety: found 'verify', expected STEP=LIMIT"),
        (("gate", "same.json", "--alpha", "5"), "alpha: found 5.0"),
        (("gate",), "CANDIDATE is missing"),
        (("gate", "same.json", "--max-calls", "5"), "--max-calls goes with --sequential"),
        (("compare", "same.json"), "found 1 sides, expected two"),
        (("gate", "same.json", "--calibration", "none.json"), "none.json: cannot be read"),
        (("gate", "nothing"), "no run is recorded yet"),
    ],
)
def test_bad_input_is_told_apart(bare: Cli, files: Path, arguments: tuple[str, ...], said: str) -> None:
    done = bare(*arguments)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_unknown_settings_are_refused_with_a_near_match(bare: Cli, files: Path) -> None:
    configure(files, "gate.min_efect = 0.02")
    done = bare("gate", "same.json")
    assert done.returncode == 2
    assert "gate.min_efect: unknown key (did you mean 'min_effect'?)" in done.stderr
    configure(files, 'quarantine = [{step = "x", owner = "", reason = "r", expires = 2999-01-01}]')
    assert "tool.agentkit.quarantine[0].owner: found ''" in bare("gate", "same.json").stderr


def test_runs_that_cannot_be_compared(bare: Cli, tmp_path: Path) -> None:
    record_run(tmp_path, "whole", [True] * 60, check="reply.mentions")
    record_run(tmp_path, "cut", [True] * 5, check="reply.mentions", status="stopped")
    record_run(tmp_path, "changed", [True] * 60, check="reply.mentions", digest="d2")
    cut = bare("gate", "cut", "--baseline", "whole")
    assert cut.returncode == 3
    assert (
        "run cut is not finished (stopped): 5 of 5 trials are played; go on with: agentkit run --resume" in cut.stderr
    )
    assert bare("baseline", "cut").returncode == 3
    assert "run cut is not finished" in bare("compare", "whole", "cut").stdout
    unknown = bare("gate", "whol", "--baseline", "hwole")
    assert (unknown.returncode, "did you mean 'whole'" in unknown.stderr) == (2, True)
    assert bare("gate", "changed", "--baseline", "whole").returncode == 3
    itself = bare("gate", "whole", "--baseline", "whole")
    assert (itself.returncode, "both sides are run whole; expected two different runs" in itself.stdout) == (3, True)
    record_run(tmp_path, "foreign", [True] * 5, imported=True)
    foreign = bare("gate", "foreign", "--baseline", "whole")
    assert (foreign.returncode, "run foreign was imported and has no graded trial" in foreign.stderr) == (3, True)


def test_costs_reach_the_baseline(bare: Cli, tmp_path: Path) -> None:
    record_run(tmp_path, "whole", [True] * 60, check="reply.mentions", cost=0.02)
    done = bare("baseline", "whole")
    assert done.returncode == 0, done.stderr
    assert "60 trials of agent-whole (whole), 1 scenarios in 1 variants" in done.stdout
    document = json.loads((tmp_path / "reports/baseline.json").read_text())
    assert document["scenarios"]["shop/chat"]["variants"]["golden"]["trials"]["0/0"] == "+ + 0.02 2"
    before = (tmp_path / "reports/baseline.json").read_bytes()
    bare("baseline", "whole")
    assert (tmp_path / "reports/baseline.json").read_bytes() == before


def test_a_run_without_a_valid_trial_is_no_baseline(bare: Cli, files: Path) -> None:
    empty = replace(side(MOSTLY), cells=())
    write_baseline(empty, files / "empty.json")
    done = bare("gate", "empty.json")
    assert (done.returncode, "did not play shop/refund/golden" in done.stdout) == (3, True)
