"""Audits find what is planted in a scenario, and nothing in the shipped ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from agentkit.audit import Finding, Kind, audit
from agentkit.config import Limits
from agentkit.scenario import load

SUITES = Path(__file__).parents[2] / "scenarios"

REFUND: dict[str, Any] = {
    "title": "A refund",
    "world": {"sales": {"S-1": {"price": 12}}},
    "turns": [
        {
            "id": "ask",
            "user": "Please refund sale S-1.",
            "order": "strict",
            "steps": [
                {"id": "refund", "call": {"name": "refund", "arguments": {"sale": "S-1", "amount": 12}}},
                {"id": "say", "reply": {"mentions": ["12"]}},
            ],
        }
    ],
    "outcome": [{"id": "refunded", "state": {"refunds/0/amount": 12}}],
}
WORLD = '''
from agentkit import tool


def initial_state(given):
    return {"refunds": [], **given}


def refund(state: dict, sale: str, amount: int) -> dict:
    """Refund a sale."""
    state["refunds"].append({"sale": sale, "amount": amount})
    return {"refunded": amount}


@tool(writes=False)
def look_up(state: dict, sale: str) -> dict:
    """Look up a sale."""
    return state["sales"][sale]


TOOLS = [refund, look_up]
'''


def written(folder: Path, scenario: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "suite.yaml").write_text("title: Shop\nworld: world.py\n")
    (folder / "world.py").write_text(WORLD)
    (folder / "one.yaml").write_text(yaml.safe_dump(scenario))
    return folder


async def findings(folder: Path, scenario: dict[str, Any]) -> tuple[Finding, ...]:
    (loaded,) = load([written(folder, scenario)])
    found = await audit([(loaded, variant) for variant in loaded.variants])
    return found.findings


async def audited(folder: Path, scenario: dict[str, Any]) -> set[tuple[Kind, str | None]]:
    return {(finding.kind, finding.step) for finding in await findings(folder, scenario)}


def changed(**parts: Any) -> dict[str, Any]:
    turn = REFUND["turns"][0]
    return {**REFUND, "outcome": parts.pop("outcome", REFUND["outcome"]), "turns": [{**turn, **parts}]}


async def test_a_sound_scenario_has_no_finding(tmp_path: Path) -> None:
    assert await audited(tmp_path / "shop", REFUND) == set()


async def test_an_outcome_that_is_given_away(tmp_path: Path) -> None:
    given_away = changed(outcome=[{"id": "sold", "state": {"sales/S-1/price": 12}}])
    told = [it.message for it in await findings(tmp_path / "shop", given_away) if it.kind is Kind.IGNORANT_SUCCEEDS]
    assert any(message.startswith("a player that does nothing succeeds") for message in told)
    assert any(message.startswith("a player that always calls look_up succeeds") for message in told)


async def test_a_step_that_cannot_be_met_and_one_that_cannot_be_missed(tmp_path: Path) -> None:
    call = REFUND["turns"][0]["steps"][0]
    impossible = [
        call,
        {"id": "state", "state": {"refunds/0/amount": 13}},
        {"id": "sold", "state": {"sales/S-1/price": 12}},
    ]
    found = await audited(tmp_path / "shop", changed(steps=impossible))
    assert {(Kind.GOLDEN_FAILS, "state"), (Kind.NEVER_PASSES, "state"), (Kind.NEVER_FAILS, "sold")} == found


async def test_a_second_refund_that_nobody_notices(tmp_path: Path) -> None:
    assert (Kind.MISTAKE_PASSES, "refund") in await audited(tmp_path / "shop", changed(order="subset"))


async def test_a_golden_reply_that_contradicts_itself(tmp_path: Path) -> None:
    torn = [REFUND["turns"][0]["steps"][0], {"id": "say", "reply": {"mentions": ["12"], "not_mentions": ["12"]}}]
    found = await audited(tmp_path / "shop", changed(steps=torn))
    assert Kind.GOLDEN_FAILS in {kind for kind, _ in found}


def refunds_of(folder: Path, *sales: str, order: str = "sequential") -> Path:
    """The refund, once of each sale."""
    turn = {**REFUND["turns"][0], "user": "Please refund {{ sale }}."}
    call = {"name": "refund", "arguments": {"sale": "{{ sale }}", "amount": 12}}
    steps = [{"id": "refund", "call": call}, turn["steps"][1]]
    written(folder, {**changed(user=turn["user"], steps=steps), "rows": {"file": "sales.csv", "order": order}})
    (folder / "sales.csv").write_text("\n".join(["sale", *sales]))
    return folder


async def test_an_instance_without_a_place_is_passed_over(tmp_path: Path) -> None:
    (loaded,) = load([refunds_of(tmp_path / "shop", "S-10001", "mine")])
    found = await audit([(loaded, "golden"), (loaded, "user:corrects_self@1")])
    assert (found.findings, found.unplayed, found.variants) == ((), (), 2)


async def test_a_variant_without_a_place_in_any_instance_is_told(tmp_path: Path) -> None:
    (loaded,) = load([refunds_of(tmp_path / "shop", "mine", "yours")])
    found = await audit([(loaded, "golden"), (loaded, "user:corrects_self@1")])
    ((scenario, variant, why),) = found.unplayed
    assert (scenario, variant, why) == (
        loaded.id,
        "user:corrects_self@1",
        "the user names no identifier that could be got wrong",
    )
    assert found.variants == 1


async def test_a_golden_play_that_the_limits_cut_off_is_a_finding(tmp_path: Path) -> None:
    (loaded,) = load([written(tmp_path / "shop", REFUND)])
    cut_off = await audit([(loaded, "golden")], limits=Limits(moves_per_turn=1))
    assert Kind.GOLDEN_FAILS in {finding.kind for finding in cut_off.findings}
    assert (await audit([(loaded, "golden")], limits=Limits(moves_per_turn=2))).findings == ()


@pytest.mark.slow
async def test_the_shipped_suites_are_sound() -> None:
    cells = [(loaded, variant) for loaded in load([SUITES]) for variant in loaded.variants]
    found = await audit(cells)
    assert [f"{finding.where}: {finding.kind}: {finding.message}" for finding in found.findings] == []
    assert found.unjudged == ()
    assert found.variants == 60
