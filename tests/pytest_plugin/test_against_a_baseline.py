"""One scenario and variant against the baseline of a whole suite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentkit.gate import write_baseline
from agentkit.gate.rows import recorded
from agentkit.pytest_plugin.result import Judgement, Result, against
from tests.report.report_records import RUN, trials

SCENARIO = "shop/refund"


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    """Of a run in which talker spoke, in one of its scenarios at least."""
    file = tmp_path / "baseline.json"
    write_baseline(recorded(replace(RUN, settings={"user_hashes": {"talker": "h1"}}), trials(every=1000)), file)
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
