"""Simulated users judge by what the product shows them, and are wrong at times."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.config import Config, ScriptedAgent
from agentkit.loop.play import Runs
from agentkit.loop.simulated import Opinion, _thumbs, opinions_of
from agentkit.records import ModelCall, Trial
from agentkit.store import Store

REFUND = "scenarios/point_of_sale/refund.yaml"


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        yield Runs(store, Config(), (REFUND,))


def played(runs: Runs, **steps: float) -> list[Trial]:
    """Three conversations with an agent that is that good at these steps and perfect at all others; as if each answer
    had come through the router."""
    agent = ScriptedAgent(kind="scripted", steps=steps)
    settings = runs.settings("scripted", agent, runs.scenarios(), detours="none", trials=3, seed=5)
    run = runs.play(settings)
    found = []
    for trial in runs.store.trials(run.id):
        for number, it in enumerate(trial.messages):
            if it.role == "assistant":
                object.__setattr__(it, "call", ModelCall("m", response_id=f"chatcmpl-{trial.index}-{number}"))
        found.append(trial)
    return found


async def opinions(runs: Runs, trials: list[Trial]) -> list[Opinion]:
    return await opinions_of(trials, runs.scenarios())


def test_what_is_done_right_shows_what_it_should(runs: Runs) -> None:
    trials = played(runs)
    found = asyncio.run(opinions(runs, trials))
    assert len(found) == 3
    assert all(it.whole and it.steps == {"find_sale": True, "refund": True} for it in found)
    last = [it for it in trials[0].messages if it.call is not None][-1]
    assert last.call is not None
    assert found[0].response == last.call.response_id, "the last answer stands for the conversation"


def test_a_wrong_call_shows_something_else(runs: Runs) -> None:
    found = asyncio.run(opinions(runs, played(runs, refund=0.0)))
    assert all(it.steps == {"find_sale": True, "refund": False} and not it.whole for it in found)


def test_thumbs_are_turned_round_at_the_rate_that_is_told() -> None:
    said = [Opinion(f"r{number}", f"c{number}", True, {"refund": False}) for number in range(2000)]
    bodies = list(_thumbs(said, 0.1, random.Random(1)))
    whole = [it["thumb"] == "up" for it in bodies if "step" not in it]
    steps = [it["thumb"] == "up" for it in bodies if it.get("step") == "refund"]
    assert sum(whole) / 2000 == pytest.approx(0.9, abs=0.02)
    assert sum(steps) / 2000 == pytest.approx(0.1, abs=0.02)
    assert list(_thumbs(said, 0.0, random.Random(1)))[:2] == [
        {"response": "r0", "thumb": "up"},
        {"conversation": "c0", "step": "refund", "thumb": "down"},
    ]
