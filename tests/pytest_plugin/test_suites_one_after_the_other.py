"""Suites that Python tests name one by one: each gets its own tools, policy and users, whichever came first."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from agentkit.pytest_plugin.player import Player
from agentkit.pytest_plugin.result import strict
from agentkit.store import Store

SHOP = Path(__file__).parents[1] / "play" / "shop"
DESK = """\
title: Asking at the desk
world:
  orders: {A-1234: {item: kettle, status: open}}
turns:
  - id: asks
    user: Where is A-1234?
    steps:
      - id: look_up
        call: {name: look_up, arguments: {order_id: A-1234}}
outcome:
  - id: still_open
    state: {orders/A-1234/status: open}
"""
GRAPH = """\
from tests.play.graphs import build

MADE = []


def make(tools, policy):
    MADE.append((sorted(tool.name for tool in tools), policy.strip()))
    return build(tools)
"""
FIVE, ASK = Path("scenarios/shop/five.yaml"), Path("scenarios/desk/ask.yaml")
OF_DESK = (["look_up"], "Look, and touch nothing.")
OF_SHOP = (["explode", "look_up", "ship"], "You help the customers of a shop.")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop, and a desk with one of its tools and a policy of its own."""
    monkeypatch.chdir(tmp_path)
    for suite in ("shop", "desk"):
        shutil.copytree(SHOP, tmp_path / "scenarios" / suite, ignore=shutil.ignore_patterns("__pycache__"))
    desk = tmp_path / "scenarios" / "desk"
    (desk / "five.yaml").rename(desk / "ask.yaml").write_text(DESK)
    (desk / "policy.md").write_text("Look, and touch nothing.\n")
    world = desk / "world.py"
    world.write_text(world.read_text().replace("TOOLS = [look_up, ship, explode]", "TOOLS = [look_up]"))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.agentkit.agents.mine]\nkind = "langgraph"\ngraph = "graph_of_two_suites:make"\n'
    )
    return tmp_path


@pytest.fixture
def made(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the graph."""
    (project / "graph_of_two_suites.py").write_text(GRAPH)
    monkeypatch.syspath_prepend(project)
    yield import_module("graph_of_two_suites")
    del sys.modules["graph_of_two_suites"]


@pytest.fixture
def player(project: Path) -> Iterator[Player]:
    found = Player(agent="scripted:1", trials=2, store=f"sqlite:///{project}/runs.db")
    yield found
    found.close()


def recorded(project: Path) -> list[int]:
    """Trials of each run, oldest first."""
    with Store.open(f"sqlite:///{project}/runs.db") as store:
        return [len(store.keys(run.id)) for run in reversed(store.runs())]


@pytest.mark.parametrize("order", [(ASK, FIVE), (FIVE, ASK)])
def test_a_graph_gets_the_tools_and_the_policy_of_the_suite_it_plays(
    project: Path, made: ModuleType, player: Player, order: tuple[Path, Path]
) -> None:
    for path in (*order, *order):
        result = player.play(path, agent="mine")
        assert strict(result).passed, strict(result).reason
    expected = [OF_DESK, OF_SHOP]
    assert (expected if order[0] is ASK else expected[::-1]) == made.MADE
    assert recorded(project) == [2, 2], "what was played once is not played again"
    assert len({line.split()[2] for line in player.farewell()}) == 2


def test_what_was_collected_is_played_together_as_in_agentkit_run(
    project: Path, made: ModuleType, player: Player
) -> None:
    for path in (FIVE, ASK):
        player.announce(project / path)
    for path in (project / FIVE, project / ASK, ASK):
        assert strict(player.play(path, agent="mine")).passed
    ((tools, policy),) = made.MADE
    assert tools == OF_SHOP[0]
    assert OF_SHOP[1] in policy
    assert OF_DESK[1] in policy
    assert recorded(project) == [4]


def test_a_later_suite_may_have_another_user(project: Path, player: Player) -> None:
    suite = project / "scenarios" / "desk" / "suite.yaml"
    suite.write_text(suite.read_text() + "user: templated\n")
    for path in (FIVE, ASK, FIVE):
        assert strict(player.play(path)).passed
    assert recorded(project) == [2, 2]
    with Store.open(f"sqlite:///{project}/runs.db") as store:
        later, first = store.runs()
    assert (list(first.settings["user_hashes"]), list(later.settings["user_hashes"])) == ([], ["templated"])


def test_suites_that_need_nothing_else_share_a_run(project: Path, player: Player) -> None:
    for path in (FIVE, ASK):
        assert strict(player.play(path)).passed
    assert recorded(project) == [4]


def test_more_trials_of_a_scenario_are_numbered_after_those_that_were_played(project: Path, player: Player) -> None:
    found = [player.play(FIVE), player.play(FIVE, trials=5), player.play(ASK)]
    assert [len(it.trials) for it in found] == [2, 5, 2]
    with Store.open(f"sqlite:///{project}/runs.db") as store:
        (run,) = store.runs()
        assert sorted(it.index for it in store.trials(run.id)) == list(range(7))


def test_the_environment_may_say_where_trials_are_recorded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_STORE", f"sqlite:///{project}/runs.db")
    with closing(Player(agent="scripted:1", trials=2)) as player:
        assert strict(player.play(FIVE)).passed
    assert recorded(project) == [2]
