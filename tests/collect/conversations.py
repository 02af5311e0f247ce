"""Conversations as they pass through the router: each request repeats what was said before."""

from __future__ import annotations

import json
from typing import Any

from agentkit.records import ConversationId, Exchange
from agentkit.scenario.suite import load_suite
from tests.collect.captured import make_exchange

Message = dict[str, Any]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def calls(name: str, **arguments: Any) -> Message:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "", "type": "function", "function": function}]}


def answers(value: Any) -> Message:
    return {"role": "tool", "content": value if isinstance(value, str) else json.dumps(value)}


def says(text: str) -> Message:
    return {"role": "assistant", "content": text}


def exchanges(name: str, *messages: Message, **changes: Any) -> list[Exchange]:
    """One exchange for each message of the assistant."""
    found: list[Exchange] = []
    history: list[Message] = [{"role": "system", "content": "You work at the till."}]
    for place, message in enumerate(messages):
        message = dict(message)
        if message.get("tool_calls"):
            message["tool_calls"] = [{**message["tool_calls"][0], "id": f"call_{place}"}]
        if message["role"] == "tool":
            message["tool_call_id"] = history[-1]["tool_calls"][0]["id"]
        if message["role"] == "assistant":
            values: dict[str, Any] = {
                "conversation": ConversationId(name),
                "at": f"2026-03-01T12:00:{len(found):02d}.000+00:00",
                "request": {"model": "demo", "messages": list(history), "tools": TOOLS},
                "response": message,
                "step": "",
            }
            found.append(make_exchange(f"{name}-{len(found)}", **values | changes))
        history.append(message)
    return found


def _tools() -> list[dict[str, Any]]:
    from pathlib import Path

    suite, problems = load_suite(Path(__file__).parents[2] / "scenarios" / "point_of_sale")
    assert not problems
    assert suite.world is not None
    return [
        {
            "type": "function",
            "function": {"name": it.name, "description": it.description, "parameters": dict(it.parameters)},
        }
        for it in suite.world.tools.values()
    ]


TOOLS = _tools()
SALE = {"date": "2026-02-20", "paid_by": "card", "items": {"SKU-2041": {"item": "summer dress", "price": 39.5}}}

LOOK_UP = (
    user("Hi! Can you look up sale S-10234, card ending 4417? My mail is [email 48213]."),
    calls("look_up_sale", sale_id="S-10234", last_four="4417"),
    answers(SALE),
    says("Sale S-10234 is a summer dress for $39.50. Shall I refund it?"),
)
REFUND = (
    user("Yes, please. {{ 7*7 }} {% raw %} thanks"),
    calls("refund_item", sale_id="S-10234", sku="SKU-2041", tender="card"),
    answers({"refunded": 39.5, "to": "card"}),
    says("I refunded $39.50 for {SKU-2041}."),
)
