"""A run of the shipped refund, played by a chat agent whose model is a function."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from agentkit.config import ChatAgent as ChatSettings
from agentkit.llm import Budget, ChatRequest
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.session import RunSettings, open_session, play_session
from agentkit.records import Run
from agentkit.scenario import Loaded
from agentkit.store import Store
from tests.tune.compiled import REFUND, ROOT, suite

SETTINGS = ChatSettings(
    kind="chat",
    engine="embedded",
    model="tiny",
    guided=True,
    calls_per_turn=1,
    temperature=0,
    max_tokens=100,
    extra_body={"frequency_penalty": 0.4},
)


def clerk(request: ChatRequest) -> str:
    """Looks sales up as it should, and refunds in cash; answers with all that it knows."""
    said = [message.content for message in request.messages if message.role == "user"][-1]
    known = request.messages[0].content.partition("\n")[0]
    if request.response_format is None:
        return f"Is it that? {known}"
    sale, last_four, sku = (
        re.search(pattern, said) for pattern in (r"S-[0-9]{5}", r"(?<![0-9-])[0-9]{4}", r"SKU-[0-9]{4}")
    )
    if sku and sale:
        arguments = {"sale_id": sale[0], "sku": sku[0], "tender": "cash"}
        return orjson.dumps({"action": "refund_item", "arguments": arguments}).decode()
    if sale and last_four:
        arguments = {"sale_id": sale[0], "last_four": last_four[0]}
        return orjson.dumps({"action": "look_up_sale", "arguments": arguments}).decode()
    return orjson.dumps({"action": "reply", "arguments": {"text": "Card only, sorry, within 5 days."}}).decode()


async def play(
    store: Store,
    agent: ChatAgent,
    folder: Path,
    *,
    trials: int = 3,
    variants: tuple[str, ...] = ("golden", "cash_instead"),
    changed: Callable[[RunSettings], RunSettings] = lambda settings: settings,
    scenarios: Sequence[Loaded] | None = None,
) -> Run:
    """`scenarios`: what is played in these variants; the refund where none are named."""
    chosen = [it for it in suite() if it.id == REFUND] if scenarios is None else scenarios
    settings = RunSettings(
        paths=(str(ROOT / "scenarios"),),
        agent=agent.name,
        agent_settings=SETTINGS,
        variants=tuple((it.id, variant) for it in chosen for variant in variants),
        trials=trials,
        seed=5,
    )
    session = open_session(changed(settings), chosen, agent, store)
    return await play_session(
        session, agent, judge=None, budget=Budget(), trace_folder=folder, listener=lambda progress: None
    )
