"""Which model answers which step, as numbered revisions of one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType

ConversationId = NewType("ConversationId", str)
ANY = "*"
"""An agent or a step of a route that stands for all that have no route of their own."""


class TargetKind(StrEnum):
    """What answers."""

    BASE = "base"
    """The model of the engines as it is."""
    ADAPTER = "adapter"
    """The same with the changes of one trained adapter."""
    UPSTREAM = "upstream"
    """A model that is served elsewhere, by its name in the project's configuration."""


@dataclass(frozen=True, slots=True)
class Target:
    """What answers a request."""

    kind: TargetKind
    name: str = ""
    """The adapter's or the upstream's; empty for the base."""

    def __str__(self) -> str:
        return self.name or self.kind.value


class Arm(StrEnum):
    """On which side of a canary a conversation is."""

    LIVE = "live"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Route:
    """What answers one step of one agent."""

    agent: str
    step: str
    live: Target
    canary: Target | None = None
    share: float = 0.0
    """Of conversations that go to the canary, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Revision:
    """The whole table at one time. A revision never changes; a change of the table is a new one."""

    number: int
    """From 1 on, without gaps."""
    routes: tuple[Route, ...]
    created_at: str
    """RFC 3339, UTC."""
    by: str
    """Who made it: the name of a key, `loop`, `canary`, `serve`, `cli`."""
    why: str
    """In words; the evidence of a promotion or a rollback."""
    parent: int | None = None
    """The revision that it was made from."""
    evidence: Mapping[str, Any] | None = None
    """Plain JSON."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The revision and the arm that a conversation keeps until it ends."""

    conversation: ConversationId
    revision: int
    arm: Arm
    seen_at: str
    """RFC 3339, UTC; of its last request."""
    repinned_from: int | None = None
    """The revision that a safety rollback took it from."""
