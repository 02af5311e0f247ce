"""The demo agent as `make demo` plays it: the real runner, the real model, the shipped suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.config import agent_settings, load_config
from agentkit.llm import FREE, Budget, Prices
from agentkit.llm.openai import OpenAIChat
from agentkit.play.agents import build_agent
from agentkit.play.session import RunSettings, open_session, play_session
from agentkit.records import Status
from agentkit.scenario import load
from agentkit.serve import Endpoint
from agentkit.store import Store

pytestmark = pytest.mark.serve

REFUND = Path(__file__).parents[2] / "scenarios" / "point_of_sale" / "refund.yaml"
SEED = 90210
"""Not the demo's own, so that these are other instances."""


async def test_the_untrained_model_gets_a_call_with_two_arguments_right(
    embedded: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_KEY", embedded.api_key)
    scenarios = load([REFUND])
    config = load_config(REFUND.parent)
    settings = agent_settings("demo", config)
    budget = Budget()
    world = scenarios[0].suite.world
    assert world is not None
    agent = build_agent(
        "demo",
        settings,
        tools=world.tools,
        policy=scenarios[0].suite.policy,
        chat_model=lambda user, endpoint: OpenAIChat(
            embedded.base_url, embedded.model, api_key_env="ENGINE_KEY", provider="vllm", budget=budget, price=FREE
        ),
        budget=budget,
        prices=Prices(),
    )
    told = RunSettings(
        paths=(str(REFUND),),
        agent="demo",
        agent_settings=settings,
        variants=((scenarios[0].id, "golden"),),
        trials=4,
        seed=SEED,
    )
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        session = open_session(told, scenarios, agent, store)
        run = await play_session(
            session, agent, judge=None, budget=budget, trace_folder=tmp_path, listener=lambda progress: None
        )
        trials = list(store.trials(run.id))
    assert run.status == "finished"
    assert {trial.fault for trial in trials} <= {None, "agent"}
    found = [grade for trial in trials for grade in trial.steps if grade.step == "find_sale"]
    assert len(found[0].expected["arguments"]) == 2
    assert sum(grade.status is Status.PASSED for grade in found) >= 2
    assert run.spent["calls"] == sum(trial.model_calls for trial in trials) > 0
    assert embedded.api_key not in str(run)
