"""A small suite, a store in a folder of its own, and one function that plays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit.config import Limits, ScriptedAgent
from agentkit.llm import Budget
from agentkit.play.agent import Agent
from agentkit.play.session import RunSettings, Session, open_session, play_session
from agentkit.records import Run, Trial
from agentkit.scenario import Loaded, load
from agentkit.store import Store

SHOP = Path(__file__).parent / "shop"


@pytest.fixture(scope="session")
def shop() -> tuple[Loaded, ...]:
    return load([SHOP])


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


Play = Callable[..., Awaitable[tuple[Run, list[Trial]]]]


@pytest.fixture
def play(shop: tuple[Loaded, ...], store: Store, tmp_path: Path) -> Play:
    """Plays an agent and gives back the run and its trials."""

    async def played(
        agent: Agent,
        *,
        trials: int = 1,
        repeats: int = 1,
        seed: int = 0,
        variants: tuple[str, ...] = ("golden",),
        limits: Limits | None = None,
        budget: Budget | None = None,
        concurrency: int = 4,
        judge: Any = None,
    ) -> tuple[Run, list[Trial]]:
        session = session_of(agent, shop, store, trials, repeats, seed, variants, limits, concurrency)
        run = await play_session(
            session,
            agent,
            judge=judge,
            budget=budget or Budget(),
            trace_folder=tmp_path / "traces",
            listener=lambda progress: None,
        )
        return run, list(store.trials(run.id))

    return played


def session_of(
    agent: Agent,
    scenarios: tuple[Loaded, ...],
    store: Store,
    trials: int,
    repeats: int,
    seed: int,
    variants: tuple[str, ...],
    limits: Limits | None,
    concurrency: int,
) -> Session:
    settings = RunSettings(
        paths=(str(SHOP),),
        agent=agent.name,
        agent_settings=ScriptedAgent(kind="scripted"),
        variants=tuple((loaded.id, variant) for loaded in scenarios for variant in variants),
        trials=trials,
        repeats=repeats,
        seed=seed,
        limits=limits or Limits(),
        concurrency=concurrency,
    )
    return open_session(settings, scenarios, agent, store)
