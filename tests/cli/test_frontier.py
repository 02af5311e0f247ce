"""`agentkit compare --frontier` and `agentkit show --flaky`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.cli.proposed import _proposal, _target
from agentkit.config import Config, parse_config
from agentkit.gate.frontier import Offer, choose
from agentkit.records import Target, TargetKind
from agentkit.serve.routes import newest
from agentkit.store import Store
from tests.cli.conftest import Cli
from tests.cli.judged_runs import record_run
from tests.store.records import make_adapter


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


def test_an_agents_name_is_no_markup(bare: Cli, tmp_path: Path) -> None:
    for name, agent in (("one", "gpt-4o[/v2]"), ("two", "shop[v1]")):
        record_run(tmp_path, name, [True] * 20, check="reply.mentions", agent=agent)
    done = bare("compare", "--frontier", "one", "two")
    assert (done.returncode, done.stderr) == (0, "")
    heading = next(it for it in done.stdout.splitlines() if "cheapest with" in it)
    assert "gpt-4o[/v2]" in heading
    assert "shop[v1]" in heading


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
    assert "no step was graded twice under the same conditions" in cli("show", "--flaky").stdout


def test_an_agent_whose_cost_nobody_knows_is_not_offered_for_nothing(cli: Cli) -> None:
    for agent in ("my-agent", "scripted:1"):
        cli("run", "--agent", agent, "--trials", "2", "--detours", "none")
    runs = [it["id"] for it in json.loads(cli("runs", "--json", "-").stdout)]
    done = cli("compare", "--frontier", *runs, "--json", "-")
    assert done.returncode == 0, done.stderr
    whole = json.loads(done.stdout)["choices"][0]
    assert {it["agent"]: it["cost"] for it in whole["offers"]} == {"my-agent": None, "scripted:1": 0.0}
    assert whole["cheapest_by"] != "cost"


PROJECT = """
[tool.agentkit.upstreams.cloud]
model = "big"
base_url = "http://127.0.0.1:1/v1"

[tool.agentkit.agents.agent-dear]
kind = "chat"
model = "big"
base_url = "http://127.0.0.1:1/v1"

[tool.agentkit.agents.agent-cheap]
kind = "chat"
engine = "embedded"
"""


@pytest.fixture
def two_agents(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    record_run(tmp_path, "dear", [True] * 100, check="reply.mentions", cost=0.05)
    record_run(tmp_path, "cheap", [number % 4 > 0 for number in range(100)], check="reply.mentions", cost=0.01)


@pytest.mark.usefixtures("two_agents")
def test_routes_are_proposed_and_applied_only_where_asked(bare: Cli, tmp_path: Path) -> None:
    words = ("compare", "--frontier", "dear", "cheap", "--write-routes", "--routes-for", "till")
    done = bare(*words, "--json", "f.json")
    assert (done.returncode, done.stderr) == (0, "")
    routes = json.loads((tmp_path / "f.json").read_text())["routes"]
    cloud = {"kind": "upstream", "name": "cloud"}
    assert routes == {
        "agent": "till",
        "revision": None,
        "steps": [{"step": "kind", "chosen": "agent-dear", "target": cloud, "changes": True, "note": ""}],
    }
    assert "till/kind" in done.stdout
    assert "nothing was changed; --apply makes it a revision" in done.stdout
    assert len(json.loads(bare("route", "--json", "-").stdout)["routes"]) == 1
    assert "made revision 2" in bare(*words, "--apply").stdout
    table = json.loads(bare("route", "--json", "-").stdout)
    assert table["routes"][1] == {
        "agent": "till", "step": "kind", "live": cloud, "canary": None, "share": 0.0, "judgement": None,
    }  # fmt: skip
    assert table["evidence"]["frontier"]["choices"][0]["chosen"] == "agent-dear"
    again = bare(*words, "--apply")
    assert (again.returncode, "the proposal changes nothing" in again.stderr) == (2, True)


@pytest.mark.usefixtures("two_agents")
def test_routes_for_one_step_are_refused_before_any_step_is_changed(bare: Cli) -> None:
    words = ("compare", "--frontier", "dear", "cheap", "--write-routes", "--apply", "--routes-for", "till/greet")
    done = bare(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--routes-for: found 'till/greet', expected an AGENT alone" in done.stderr
    assert json.loads(bare("route", "--json", "-").stdout)["revision"] == 1


@pytest.mark.usefixtures("two_agents")
def test_what_surely_meets_a_lower_target_is_the_base_model_that_answers_already(bare: Cli) -> None:
    done = bare("compare", "--frontier", "dear", "cheap", "--write-routes", "--target", "0.6", "--json", "-")
    (step,) = json.loads(done.stdout)["routes"]["steps"]
    assert (step["chosen"], step["target"]["kind"], step["changes"]) == ("agent-cheap", "base", False)
    unsure = bare("compare", "--frontier", "dear", "cheap", "--write-routes", "--target", "0.99", "--json", "-")
    (step,) = json.loads(unsure.stdout)["routes"]["steps"]
    assert (step["target"], step["note"]) == (None, "none surely meets the target, so it stays as it is")


def test_an_adapter_is_proposed_as_a_canary_first(bare: Cli, tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/.agentkit/agentkit.db") as store:
        store.add_adapter(make_adapter())
        assert _target(store, Config(), "demo+refund-v1-3fa9") == (Target(TargetKind.ADAPTER, "refund-v1-3fa9"), "")
        assert _target(store, Config(), "demo+a+b") == (None, "a route names one adapter, and this agent has several")
        assert "add [tool.agentkit.upstreams.gpt]" in _target(store, Config(), "gpt")[1]
        another = parse_config({"agents": {"own": {"kind": "chat", "engine": "./clerk"}}}, "pyproject.toml")
        assert _target(store, another, "own") == (None, "the engines serve embedded, not ./clerk")
        found = _proposal(store, Config(), newest(store), "till", choose("refund", [sure("demo+refund-v1-3fa9")], 0.9))
        assert found.changes is False
        assert found.note == "candidate: agentkit route canary till/refund refund-v1-3fa9, then promote"


def sure(agent: str) -> Offer:
    return Offer(agent, 0.99, 0.95, 1.0, 100, 0.01, 1.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--write-routes",), "--write-routes goes with --frontier"),
        (("--target", "0.9"), "--target goes with --frontier"),
        (("--frontier", "--apply"), "--apply goes with --write-routes"),
        (("--frontier", "--routes-for", "till"), "--routes-for goes with --write-routes"),
        (("--frontier", "--markdown", "out.md"), "--markdown does not go with --frontier"),
        (("--frontier", "--step", "kind"), "--step does not go with --frontier"),
        (("--frontier", "--non-inferiority"), "--non-inferiority does not go with --frontier"),
        (("--frontier", "--accept-user", "ann"), "--accept-user does not go with --frontier"),
    ],
)
def test_options_that_would_change_nothing_are_refused(bare: Cli, words: tuple[str, ...], said: str) -> None:
    done = bare("compare", *words, "a", "b")
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
