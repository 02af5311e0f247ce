"""The audit on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from agentkit.cli import app
from agentkit.errors import NotJudged
from agentkit.play.plan import instance_seed
from agentkit.records import GOLDEN
from agentkit.scenario import load
from tests.audit.test_audit import REFUND, changed, refunds_of, written


@pytest.mark.parametrize(("outcome", "code"), [("refunds/0/amount", 0), ("sales/S-1/price", 1)])
def test_a_finding_is_told_and_fails(tmp_path: Path, outcome: str, code: int) -> None:
    shop = written(tmp_path / "shop", changed(outcome=[{"id": "end", "state": {outcome: 12}}]))
    result = CliRunner().invoke(
        app, ["audit", str(shop), "--json", str(tmp_path / "found.json")], standalone_mode=False
    )
    assert result.return_value == code, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert bool(found["findings"]) == bool(code)
    assert ("shop/one/golden: ignorant_succeeds: a player that" in result.output) == bool(code)
    assert "1 variants of 1 scenarios" in result.output


def test_a_variant_without_a_place_is_told_and_the_others_are_audited(tmp_path: Path) -> None:
    shop = refunds_of(tmp_path / "shop", "S-10001", "mine", order="random")
    (loaded,) = load([shop])
    assert loaded.draw(GOLDEN, 0).variables["sale"] == "S-10001", "whether a detour is audited is seen there"
    seed = next(it for it in range(99) if loaded.draw(GOLDEN, instance_seed(it, 0)).variables["sale"] == "mine")
    arguments = ["audit", str(shop), "--detours", "user:corrects_self", "--instances", "1", "--seed", str(seed)]
    result = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "found.json")], standalone_mode=False)
    assert result.return_value == 0, result.output
    why = "the user names no identifier that could be got wrong"
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["unplayed"] == [{"scenario": "shop/one", "variant": "user:corrects_self@1", "why": why}]
    said = " ".join(result.output.split())
    assert f"1 variants without a place in any instance are not audited: shop/one/user:corrects_self@1 ({why})" in said
    assert "no finding in 1 variants of 1 scenarios" in said


def test_the_limits_of_the_project_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "shop", REFUND)
    (tmp_path / "pyproject.toml").write_text("[tool.agentkit.limits]\nmoves_per_turn = 1\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["audit", "shop"], standalone_mode=False)
    assert result.return_value == 1
    assert "shop/one/golden#say: golden_fails" in result.output


GREETING = {
    "title": "A greeting",
    "turns": [{"id": "greet", "user": "Good day!", "steps": [{"id": "answer", "reply": {"mentions": ["welcome"]}}]}],
    "outcome": [{"id": "polite", "reply": {"mentions": ["welcome"]}}],
}


@pytest.mark.parametrize(
    ("words", "beside_tools", "nowhere"),
    [("none,tool:error", False, "tool:error"), ("user:vague,tool", False, "tool"), ("none,tool:error", True, None)],
)
def test_what_found_no_place_is_told_and_is_no_pass_where_nothing_of_a_word_did(
    tmp_path: Path, words: str, beside_tools: bool, nowhere: str | None
) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "suite.yaml").write_text("title: A shop without tools\n")
    (tmp_path / "bare" / "one.yaml").write_text(yaml.safe_dump(GREETING))
    folders = [str(tmp_path / "bare"), *([str(written(tmp_path / "shop", REFUND))] if beside_tools else [])]
    told = tmp_path / "found.json"
    arguments = ["audit", *folders, "--instances", "1", "--detours", words, "--json", str(told)]
    result = CliRunner().invoke(app, arguments, standalone_mode=False)
    assert "no finding in" in result.output
    found = json.loads(told.read_text())
    assert found["findings"] == []
    assert {"scenario": "bare/one", "detour": "tool:error", "why": "it has no tool"} in found["without_place"]
    assert "not audited, for want of a place to disturb: tool:error in bare/one (it has no tool)" in result.output
    if nowhere is None:
        assert result.return_value == 0, result.output
    else:
        assert isinstance(result.exception, NotJudged)
        assert str(result.exception) == f"nothing was audited of {nowhere}: no scenario gives it a place"


def test_what_is_played_is_the_scenario_as_written(tmp_path: Path) -> None:
    shop = written(tmp_path / "shop", REFUND)
    result = CliRunner().invoke(app, ["audit", str(shop), "--detours", "tool:eror"], standalone_mode=False)
    assert "did you mean 'tool:error'?" in str(result.exception)
