"""Scenarios as pytest items: `pytest scenarios/` plays them. See README.md beside this file.

This module is imported in every pytest run of an environment that has agentkit, so it imports next to nothing; the rest
is imported once there is a scenario to collect.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from agentkit.pytest_plugin.player import Player
    from agentkit.pytest_plugin.python import ScenarioPlayer

PLAYER: pytest.StashKey[Player] = pytest.StashKey()
"""Who plays in this session, once there is something to play."""

_SUITE = "suite.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("agentkit", "play agentkit scenarios")
    group.addoption("--agentkit-agent", metavar="NAME", help="Agent that plays (default: the one the scenarios name).")
    group.addoption("--agentkit-trials", metavar="N", type=int, default=5, help="Instances of each item (default: 5).")
    group.addoption("--agentkit-seed", metavar="N", type=int, default=0, help="Draws everything random (default: 0).")
    group.addoption(
        "--agentkit-detours",
        metavar="WHICH",
        default="own",
        help="As for `agentkit run --detours` (default: own).",
    )
    group.addoption(
        "--agentkit-min",
        metavar="P",
        type=float,
        help="An item passes where its compounded accuracy is at least P, 0 to 1 (default: every trial must pass).",
    )
    group.addoption(
        "--agentkit-baseline",
        metavar="FILE",
        help="An item passes where it is no worse than in this baseline (written by `agentkit baseline`).",
    )
    group.addoption(
        "--agentkit-store",
        metavar="URL",
        help="Where the trials are recorded (default: AGENTKIT_STORE, else the project's store).",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "agentkit: an item that plays an agentkit scenario")


def pytest_collect_file(file_path: Path, parent: Any) -> Any:
    """A file of scenarios, where a suite lies at or above it."""
    name = file_path.name
    if name == _SUITE or not name.endswith((".yaml", ".yml", "_scenarios.py")):
        return None
    if not any((folder / _SUITE).is_file() for folder in file_path.parents):
        return None
    from agentkit.pytest_plugin.items import ScenarioFile

    return ScenarioFile.from_parent(parent, path=file_path)


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """A word that names no detour of any scenario is a mistake, not nothing to play."""
    player = config.stash.get(PLAYER, None)
    if player is None or hasattr(config, "workerinput"):  # a worker of xdist may not refuse: there each item fails
        return
    from agentkit.errors import UsageError

    try:
        player.words.refuse_unknown()
    except UsageError as error:
        raise pytest.UsageError(f"--agentkit-detours: {error}") from None


@pytest.fixture
def play_scenario(request: pytest.FixtureRequest) -> ScenarioPlayer:
    """Plays scenarios and gives their results: `play_scenario("scenarios/shop/refund.yaml").assert_passed()`."""
    from agentkit.pytest_plugin.player import player_of
    from agentkit.pytest_plugin.python import ScenarioPlayer

    return ScenarioPlayer(player_of(request.config))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    player = session.config.stash.get(PLAYER, None)
    if player is not None:
        ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        player.close(interrupted=exitstatus not in ended)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    player = config.stash.get(PLAYER, None)
    for line in player.farewell() if player is not None else ():
        terminalreporter.write_line(line)
