"""One scenario and variant against the baseline of a whole suite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentkit.errors import UsageError
from agentkit.gate import write_baseline
from agentkit.gate.project.calibration import Calibrated, write_calibration
from agentkit.gate.rows import recorded
from agentkit.pytest_plugin.report import failure
from agentkit.pytest_plugin.result import Judgement, Result, against
from agentkit.records import GOLDEN, Run, RunId, Trial, TrialKey, Verdict
from tests.report.report_records import RUN, grade, trial, trials

SCENARIO = "shop/refund"
BASE = replace(RUN, id=RunId("base"))


@pytest.fixture
def baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a run in which talker spoke, in one of its scenarios at least."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "baseline.json"
    write_baseline(recorded(replace(BASE, settings={"user_hashes": {"talker": "h1"}}), trials(every=1000)), file)
    return file


def judged(baseline: Path, users: dict[str, str], scenario: str = SCENARIO) -> Judgement:
    loaded: Any = SimpleNamespace(id=scenario, hash=RUN.scenarios.get(scenario))
    played = tuple(it for it in trials(every=1000) if (it.key.scenario, it.key.variant) == (SCENARIO, "golden"))
    return against(Result(replace(RUN, settings={"user_hashes": users}), loaded, "golden", played), baseline)


def test_users_of_the_baselines_other_scenarios_do_not_count(baseline: Path) -> None:
    found = judged(baseline, {})
    assert found.outcome == "inconclusive"
    assert "compounded accuracy 75 % → 75 %" in found.reason


def test_a_user_that_has_changed_cannot_be_compared(baseline: Path) -> None:
    assert judged(baseline, {"talker": "h1"}).outcome == "inconclusive"
    found = judged(baseline, {"talker": "h2"})
    assert found.outcome == "could_not_judge"
    assert "the simulated users are not those of the baseline: talker has changed" in found.reason


def test_a_scenario_that_the_baseline_lacks_is_named_with_a_near_match(baseline: Path) -> None:
    found = judged(baseline, {}, "shop/refnd")
    assert found.outcome == "could_not_judge"
    assert f"{baseline} has no shop/refnd/golden (did you mean 'shop/refund/golden'?)" in found.reason


JUDGED_BY_WISE = replace(RUN, settings={"judge": {"model": "wise"}})
OTHERS = tuple(
    trial(900 + n, TrialKey("shop/exchange", GOLDEN, n), fails=False, steps=(grade("swap", True, "no_call", turn=0),))
    for n in range(40)
)


def many(broken: int = 0, *, check: str = "call.arguments", of: int = 100) -> tuple[Trial, ...]:
    """Successful trials of the scenario, in the last of which the step `kind` fails all the same."""
    return tuple(
        trial(
            n,
            TrialKey(SCENARIO, GOLDEN, n),
            fails=False,
            verdict=Verdict.SUCCESS,
            steps=(grade("find", True, "no_call", turn=0), grade("kind", n < of - broken, check, turn=0)),
        )
        for n in range(of)
    )


class Project:
    """A project whose baseline holds 100 trials of the scenario, and 40 of another with a step of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def configure(self, text: str) -> None:
        (self.folder / "pyproject.toml").write_text(f"[tool.agentkit]\n{text}\n")

    def judged(self, base: tuple[Trial, ...], candidate: tuple[Trial, ...], run: Run = RUN) -> Judgement:
        file = self.folder / "baseline.json"
        write_baseline(recorded(BASE, (*base, *OTHERS)), file)
        return against(self.result(candidate, run), file)

    @staticmethod
    def result(candidate: tuple[Trial, ...], run: Run = RUN) -> Result:
        loaded: Any = SimpleNamespace(id=SCENARIO, hash=RUN.scenarios[SCENARIO])
        return Result(run, loaded, GOLDEN, candidate)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def test_limits_and_criteria_are_the_projects(project: Project) -> None:
    assert project.judged(many(of=30), many(of=30)).outcome == "inconclusive"
    project.configure("gate.margin = 0.2")
    assert project.judged(many(of=30), many(of=30)).outcome == "pass"
    project.configure("")
    assert project.judged(many(20), many(20)).outcome == "pass"
    project.configure("gate.safety = { kind = 0.05 }")
    found = project.judged(many(20), many(20))
    assert found.outcome == "fail"
    assert "safety kind: 20 of 100 failed" in found.reason


def test_steps_that_other_scenarios_alone_have_are_left_out_and_unknown_ones_are_not(project: Project) -> None:
    gate = 'gate.target = "population"\ngate.off_path = true'
    project.configure(f'{gate}\ngate.steps = ["each:swap"]\ngate.safety = {{ "shop/exchange/*" = 0.01 }}')
    assert project.judged(many(), many()).outcome == "pass"
    project.configure(f"{gate}\ngate.safety = {{ greets = 0.05, kind = 0.05 }}")
    found = project.judged(many(20), many(20))
    assert found.outcome == "fail", "a step of a scenario that is not in the baseline yet is no mistake here"
    assert "safety kind: 20 of 100 failed" in found.reason
    project.configure(f'{gate}\ngate.steps = ["swapp"]')
    with pytest.raises(UsageError, match="no step 'swapp'"):
        project.judged(many(), many())


def test_a_quarantined_step_does_not_count_and_is_told(project: Project) -> None:
    assert project.judged(many(), many(40)).outcome == "fail"
    entry = '[[tool.agentkit.quarantine]]\nstep = "{}#{}"\nowner = "ann"\nreason = "flaky"\nexpires = {}-01-01\n'
    kind, swap = entry.format("shop/refund/golden", "kind", "{}"), entry.format("shop/exchange/golden", "swap", 2020)
    project.configure(kind.format(2999) + swap)
    found = project.judged(many(), many(40))
    assert found.outcome == "pass"
    told = "quarantined until 2999-01-01 by ann, so not judged: shop/refund/golden#kind (flaky)"
    assert found.notes[0] == told
    assert f"note: {told}" in failure(project.result(many(40)), replace(found, outcome="fail"))
    project.configure(kind.format(2020))
    with pytest.raises(UsageError, match="quarantine expired: shop/refund/golden#kind of ann"):
        project.judged(many(), many(40))


def test_what_an_llm_judge_says_is_advice_until_it_is_calibrated(project: Project) -> None:
    judged = many(check="reply.judge"), many(40, check="reply.judge"), JUDGED_BY_WISE
    found = project.judged(*judged)
    assert found.outcome == "pass"
    assert "advice only, since an LLM judge graded it that was not calibrated (agentkit calibrate)" in found.notes
    labels = Calibrated("wise", {"shop/refund#kind": (40, 1, 1, 18)})
    write_calibration(labels, project.folder / "reports" / "judge.json")
    assert project.judged(*judged).outcome == "fail"
    write_calibration(replace(labels, judge="another"), project.folder / "reports" / "judge.json")
    assert project.judged(*judged).outcome == "pass"
