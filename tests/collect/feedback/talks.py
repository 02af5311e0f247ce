"""Short captured conversations."""

from __future__ import annotations

from typing import Any

from agentkit.records import Arm, ConversationId, Exchange, Feedback, FeedbackKind, ResponseId, Source, Target
from agentkit.records import TargetKind as Kind


def exchange(id: str, conversation: str, step: str, *, minute: int = 0, **changes: Any) -> Exchange:
    """One exchange; what it says names its place."""
    tools = changes.pop("tools", None)
    asked = changes.pop("asked", f"asked {minute}")
    request = {"messages": [{"role": "system", "content": "You are a till."}, {"role": "user", "content": asked}]}
    told: dict[str, Any] = {
        "id": ResponseId(id),
        "conversation": ConversationId(conversation),
        "at": f"2026-03-01T10:{minute:02}:00.000+00:00",
        "key": "shop",
        "agent": "till",
        "step": step,
        "revision": 1,
        "arm": Arm.LIVE,
        "target": Target(Kind.BASE),
        "replica": "vllm-0",
        "model": "small",
        "request": request | ({"tools": tools} if tools else {}),
        "response": {"role": "assistant", "content": f"said {minute}"},
        "status": 200,
    }
    return Exchange(**(told | changes))


def talk(conversation: str, *steps: str, **changes: Any) -> list[Exchange]:
    """A conversation of so many steps; its responses are `conversation.0`, `.1` …"""
    return [exchange(f"{conversation}.{n}", conversation, step, minute=n, **changes) for n, step in enumerate(steps)]


def said(
    conversation: str, value: float | None, *, response: str | None = None, source: Source = Source.USER, **changes: Any
) -> Feedback:
    """One judgement; its id names what it says of what."""
    by = changes.pop("by", source.value)
    told: dict[str, Any] = {
        "id": f"{by}/{conversation}/{response}/{value}",
        "at": "2026-03-02T00:00:00.000+00:00",
        "source": source,
        "by": by,
        "kind": FeedbackKind.COMMENT if value is None else FeedbackKind.THUMB,
        "conversation": ConversationId(conversation),
        "response": None if response is None else ResponseId(response),
        "value": value,
    }
    return Feedback(**(told | changes))
