"""What n-gram speculation is measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agentkit.config import load_config
from agentkit.records import Arm, ConversationId, Exchange, ResponseId, Target, TargetKind
from agentkit.scenario import load
from agentkit.serve.turbo import Sample, golden_traffic, recorded_traffic
from agentkit.serve.turbo.traffic import asking, traffic_hash, written
from agentkit.store import Store

ROOT = Path(__file__).parents[3]
BASE = Target(TargetKind.BASE)


def exchange(number: int, conversation: str, response: Any, status: int = 200, target: Target = BASE) -> Exchange:
    return Exchange(
        id=ResponseId(f"chatcmpl-{number}"),
        conversation=ConversationId(conversation),
        at=f"2026-01-01T00:00:{number:02}+00:00",
        key="shop",
        agent="shop",
        step="refund",
        revision=1,
        arm=Arm.LIVE,
        target=target,
        replica="engine-0",
        model="tiny",
        request={"messages": [{"role": "user", "content": f"{number}"}], "temperature": 0},
        response=response,
        status=status,
    )


def test_the_newest_recorded_answers_in_their_order(store: Store) -> None:
    said = {"role": "assistant", "content": "Yes."}
    store.add_exchanges(
        [
            exchange(1, "a", said),
            exchange(2, "a", said),
            exchange(3, "b", said),
            exchange(4, "b", None, 502),
            exchange(5, "a", {"role": "assistant", "content": ""}),
            exchange(6, "a", said, target=Target(TargetKind.UPSTREAM, "frontier")),
            exchange(7, "a", said | {"tool_calls": [{"type": "custom", "custom": {"name": "x"}}]}),
        ]
    )
    found = recorded_traffic(store, 8)
    assert [it.request["messages"][0]["content"] for it in found] == ["1", "2", "3"]
    assert set(found[0].request) == {"messages"}
    assert found[0].answer == "Yes."
    assert [it.request["messages"][0]["content"] for it in recorded_traffic(store, 2)] == ["2", "3"]


def test_calls_are_written_as_the_model_writes_them() -> None:
    call = {"function": {"name": "refund", "arguments": '{"sale_id":"S-1"}'}}
    message = {"content": "One moment.", "tool_calls": [call]}
    made = '{"name": "refund", "arguments": {"sale_id": "S-1"}}'
    assert written(message) == f"One moment.\n<tool_call>\n{made}\n</tool_call>"
    assert written({"content": None}) == ""
    assert written({"tool_calls": [{"function": {"name": "refund", "arguments": '{"sale'}}]}) == ""
    for odd in ({}, {"function": None}, {"function": {"name": "refund"}}, "refund"):
        assert written({"content": "Yes.", "tool_calls": [odd]}) == ""
    assert written({"content": "Yes.", "tool_calls": 7}) == ""


async def test_the_shipped_scenarios_give_traffic_with_calls() -> None:
    config = load_config(ROOT)
    scenarios = load([ROOT / config.scenarios / "point_of_sale"])
    found = await golden_traffic(scenarios, asking(config), 6)
    assert found == await golden_traffic(scenarios, asking(config), 6)
    assert len(found) == 6
    assert all(json.loads(it.answer)["action"] for it in found)
    assert all("Actions:" in it.request["messages"][0]["content"] for it in found)


def test_another_answer_is_other_traffic() -> None:
    one, two = Sample({"messages": []}, "a"), Sample({"messages": []}, "b")
    assert traffic_hash([one]) != traffic_hash([two])
    assert traffic_hash([one, two]) == traffic_hash([one, two])
