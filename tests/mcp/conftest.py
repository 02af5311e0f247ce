"""Suites whose world is a server, written to a folder of their own, and one function that plays them."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from agentkit.config import FunctionAgent
from agentkit.llm import Budget
from agentkit.play.agent import Agent
from agentkit.play.session import RunSettings, open_session, play_session
from agentkit.records import Run, Trial
from agentkit.scenario import Loaded, load
from agentkit.scenario.mcp.link import listed
from agentkit.scenario.mcp.record import RECORD, write_record
from agentkit.scenario.server import McpServer
from agentkit.store import Store

HERE = Path(__file__).parent
RAW = [sys.executable, str(HERE / "raw_server.py")]

SCENARIO = """\
title: Ship an order
variables:
  order: {choice: [A-1001, A-1002, A-1003]}
world: {order: "{{ order }}"}
turns:
  - id: ask
    user: Please ship {{ order }}.
    steps:
      - {id: look, call: {name: look_up, arguments: {order_id: "{{ order }}"}}}
      - {id: ship, call: {name: ship, arguments: {order_id: "{{ order }}"}}}
      - {id: shipped, state: {order/status: shipped}}
outcome:
  - {id: shipped_once, state: {writes: {equals: [{name: ship, arguments: {order_id: "{{ order }}"}}]}}}
"""

STATE = {"order": {"tool": "look_up", "arguments": {"order_id": "{{ order }}"}}}


def write_server_suite(folder: Path, server: dict[str, Any], scenario: str = SCENARIO) -> None:
    """A suite of one scenario over a server; without its record of tools."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump({"title": "Shop", "world": {"mcp": server}}))
    (folder / "ship.yaml").write_text(scenario)


async def recorded_suite(folder: Path, scenario: str = SCENARIO, mode: str = "well", **settings: Any) -> Path:
    """A suite over the raw server, its tools recorded from a server that behaves."""
    write_server_suite(folder, {"command": [*RAW, mode], "state": STATE, "warm": 0, **settings}, scenario)
    write_record(folder / RECORD, await listed(McpServer(command=[*RAW, "well"]), folder))
    return folder


_others: set[int] = set()
"""Process ids of what other tests of this process keep running."""


def children() -> list[psutil.Process]:
    """Processes that this test started, directly or not, and that are still there."""
    found = psutil.Process().children(recursive=True)
    return [it for it in found if it.pid not in _others and it.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_process_left_behind() -> Any:
    _others.clear()
    _others.update(child.pid for child in children())
    yield
    assert children() == []


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


PlaySuite = Callable[..., Awaitable[tuple[Run, list[Trial]]]]


@pytest.fixture
def play_suite(store: Store, tmp_path: Path) -> PlaySuite:
    """Plays an agent over a suite's folder, and gives back the run and its trials."""

    async def played(
        folder: Path | tuple[Loaded, ...],
        agent: Agent,
        *,
        trials: int = 1,
        variants: tuple[str, ...] | None = ("golden",),
        concurrency: int = 4,
    ) -> tuple[Run, list[Trial]]:
        scenarios = load([folder]) if isinstance(folder, Path) else folder
        cells = [(loaded.id, variant) for loaded in scenarios for variant in variants or loaded.variants]
        settings = RunSettings(
            paths=("scenarios",),
            agent=agent.name,
            agent_settings=FunctionAgent(kind="function", function="a:b"),
            variants=tuple(cells),
            trials=trials,
            concurrency=concurrency,
        )
        run = await play_session(
            open_session(settings, scenarios, agent, store),
            agent,
            judge=None,
            budget=Budget(),
            trace_folder=tmp_path / "traces",
            listener=lambda progress: None,
        )
        return run, list(store.trials(run.id))

    return played
