"""On which side of a canary a conversation is: the same at every request, in every process, and at every share."""

from __future__ import annotations

from hashlib import blake2b

from agentkit.records import Arm, ConversationId, Route, Target


def arm_of(route: Route, conversation: ConversationId) -> Arm:
    """The conversation's arm of this route.

    A number from 0 to 1 that comes from the conversation and from the canary itself, below the share. So a greater
    share keeps everybody who was in the canary, and another canary divides conversations anew.
    """
    if route.canary is None:
        return Arm.LIVE
    return Arm.CANARY if _place(route.agent, route.step, route.canary, conversation) < route.share else Arm.LIVE


def target_of(route: Route, arm: Arm) -> Target:
    """What answers conversations of that arm at this route."""
    return route.canary if route.canary and arm is Arm.CANARY else route.live


def _place(agent: str, step: str, canary: Target, conversation: str) -> float:
    parts = "\0".join((agent, step, canary.kind, canary.name, conversation))
    return int.from_bytes(blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=8).digest()) / 2**64
