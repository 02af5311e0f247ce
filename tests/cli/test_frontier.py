"""`agentkit compare --frontier` and `agentkit show --flaky`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.gate.frontier import Offer, choose
from tests.cli.conftest import Cli
from tests.cli.judged_runs import record_run


def offer(agent: str, accuracy: float | None, low: float, cost: float | None, seconds: float | None = 1.0) -> Offer:
    return Offer(agent, accuracy, low, 1.0, 100, cost, seconds)


def test_the_cheapest_that_surely_meets_the_target_is_chosen_before_one_that_only_seems_to() -> None:
    offers = (offer("dear", 0.99, 0.95, 0.10), offer("fair", 0.97, 0.92, 0.05), offer("cheap", 0.93, 0.86, 0.01))
    found = choose("step", offers, 0.9)
    assert (found.chosen, found.by, found.order) == ("fair", "bound", "cost")
    assert found.front == ("dear", "fair", "cheap")
    only = choose("step", offers[2:], 0.9)
    assert (only.chosen, only.by) == ("cheap", "estimate")
    assert choose("step", offers, 0.999).chosen is None


def test_what_another_beats_is_not_on_the_front() -> None:
    found = choose("step", (offer("a", 0.9, 0.8, 0.1), offer("b", 0.9, 0.8, 0.2), offer("c", None, 0.0, 0.1)), 0.5)
    assert found.front == ("a",)


def test_an_unknown_cost_leaves_time_to_tell_what_is_cheap() -> None:
    found = choose("step", (offer("a", 0.9, 0.8, None, 3.0), offer("b", 0.9, 0.8, 0.2, 1.0)), 0.5)
    assert (found.order, found.chosen) == ("seconds", "b")


def test_agents_side_by_side(bare: Cli, tmp_path: Path) -> None:
    record_run(tmp_path, "dear", [True] * 100, check="reply.mentions", cost=0.05)
    record_run(tmp_path, "cheap", [number % 4 > 0 for number in range(100)], check="reply.mentions", cost=0.01)
    done = bare("compare", "--frontier", "dear", "cheap", "--json", "f.json")
    assert done.returncode == 0, done.stderr
    choices = {it["name"]: it for it in json.loads((tmp_path / "f.json").read_text())["choices"]}
    assert list(choices) == ["all", "shop", "shop/chat#kind"]
    assert choices["all"]["chosen"] == "agent-cheap"
    step = choices["shop/chat#kind"]
    assert (step["chosen"], step["by"]) == ("agent-dear", "bound")
    assert [(it["agent"], it["accuracy"], it["cost"], it["seconds"], it["pareto"]) for it in step["offers"]] == [
        ("agent-dear", 1.0, 0.05, 1.5, True),
        ("agent-cheap", 0.75, 0.01, 1.5, True),
    ]
    assert "cheapest with 90 %" in done.stdout
    assert "on the Pareto front" in done.stdout
    assert bare("compare", "--frontier", "dear").returncode == 2
    assert bare("compare", "--frontier", "dear", "dear").returncode == 2
    record_run(tmp_path, "elsewhere", [True] * 10, check="reply.mentions", digest="d2")
    other = bare("compare", "--frontier", "dear", "elsewhere")
    assert (other.returncode, "did not play the same: shop/chat" in other.stderr) == (3, True)


@pytest.mark.slow
def test_flaky_steps_have_a_history_and_recovery_is_shown(cli: Cli) -> None:
    for seed in ("0", "0", "1"):
        cli("run", "--agent", "scripted:0.7", "--trials", "6", "--repeats", "3", "--detours", "none", "--seed", seed)
    done = cli("show", "--flaky", "--json", "out.json")
    assert done.returncode == 0, done.stderr
    assert "flaky: passed and failed in the same instance under the same conditions" in done.stdout
    assert "conversations with a failed step succeeded all the same" in done.stdout
    found = json.loads(cli("show", "--flaky", "--json", "-").stdout)
    assert len(found["runs"]) == 3
    step = found["flaky"][0]
    assert 0 < step["flaky"] <= step["repeated"]
    assert len(step["history"]) == 3
    (recovery,) = found["recovery"]
    assert recovery["compounded"] < recovery["with_recovery"]


def test_nothing_repeated_is_not_called_stable(cli: Cli) -> None:
    cli("run", "--trials", "3")
    assert "nothing was played twice under the same conditions" in cli("show", "--flaky").stdout
