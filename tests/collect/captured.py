"""Exchanges as the router would hand them over."""

from __future__ import annotations

from typing import Any

from agentkit.records import Arm, ConversationId, Exchange, ResponseId, Target, TargetKind, Usage


def make_exchange(id: str = "chatcmpl-1", **changes: Any) -> Exchange:
    values: dict[str, Any] = {
        "id": ResponseId(id),
        "conversation": ConversationId("conv-1"),
        "at": "2026-03-01T12:00:00.000+00:00",
        "key": "till",
        "agent": "demo",
        "step": "find_sale",
        "revision": 3,
        "arm": Arm.CANARY,
        "target": Target(TargetKind.ADAPTER, "refund-v1-3fa9"),
        "replica": "engine-0",
        "model": "small+refund-v1-3fa9",
        "request": {"model": "demo/find_sale", "messages": [{"role": "user", "content": "Look up S-10234, please."}]},
        "response": {"role": "assistant", "content": "It is a summer dress."},
        "status": 200,
        "finish_reason": "stop",
        "usage": Usage(120, 9, 0, 64),
        "latency": 0.25,
        "first_token": 0.1,
        "attempts": 2,
        "user": "user-00112233445566778899aabbccddeeff",
        "trace_id": "00112233445566778899aabbccddeeff",
        "span_id": "0123456789abcdef",
    }
    return Exchange(**values | changes)
