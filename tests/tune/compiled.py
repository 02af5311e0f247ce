"""Data compiled from the shipped suite, with an agent that never asks its model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentkit.config import Sampling
from agentkit.llm.fake import FakeChat
from agentkit.play.agents.chat import ChatAgent
from agentkit.records import Run, RunId, Trial
from agentkit.scenario import Loaded, load
from agentkit.tune.compile import Below, Compiled, CompileSettings, compile_prompts
from agentkit.tune.target import Target, TargetStep

ROOT = Path(__file__).parents[2]
REFUND = "point_of_sale/refund"
SMALL = CompileSettings(train=4, validation=2, held_out=10, seed=3)


@lru_cache
def suite() -> tuple[Loaded, ...]:
    return load([ROOT / "scenarios" / "point_of_sale"])


def chat_agent(
    answer: Any = lambda request: "?",
    *,
    guided: bool = True,
    calls_per_turn: int | None = 1,
    model: str = "tiny",
    name: str = "demo",
) -> ChatAgent:
    sampling = Sampling(temperature=0, max_tokens=100, extra_body={"frequency_penalty": 0.4})
    return ChatAgent(name, FakeChat(answer, name=model), sampling, guided=guided, calls_per_turn=calls_per_turn)


def target(step: str = "refund", variants: Sequence[str] = ("golden", "cash_instead")) -> Target:
    return Target(step, step, tuple(TargetStep(REFUND, variant, step, 1, 8) for variant in variants))


def a_run() -> Run:
    return Run(
        id=RunId("r1"),
        agent="demo",
        agent_hash="0123456789abcdef",
        deterministic=True,
        seed=0,
        planned=0,
        created_at="2026-06-20T10:00:00.000Z",
        settings={},
        versions={},
        scenarios={it.id: it.hash for it in suite()},
    )


async def compiled(
    wanted: Target | None = None,
    *,
    agent: ChatAgent | None = None,
    settings: CompileSettings = SMALL,
    trials: Sequence[Trial] = (),
    run: Run | None = None,
    below: Below | None = None,
) -> Compiled:
    told = trials, suite(), agent or chat_agent(), settings, below
    return await compile_prompts(wanted or target(), run or a_run(), *told)
