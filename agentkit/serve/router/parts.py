"""What a router is put together from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.types import Scope

from agentkit.config import RouterSettings
from agentkit.records import ApiKey, Arm, ConversationId, Revision, Route, Target
from agentkit.serve.router.balance import Using
from agentkit.serve.router.capturing import Capturing, NoCapture
from agentkit.serve.upstream import Upstreams
from agentkit.tracing import Tracing


class Resolving(Protocol):
    """Where a request goes."""

    @property
    def revision(self) -> int: ...
    @property
    def arm(self) -> Arm: ...
    @property
    def target(self) -> Target: ...
    @property
    def route(self) -> Route: ...


class Table(Protocol):
    """The route table as it is now."""

    @property
    def current(self) -> Revision: ...
    @property
    def begun(self) -> Revision:
        """That which a conversation gets which begins now."""

    def knows(self, conversation: ConversationId) -> bool:
        """Whether `resolve` answers at once."""

    def resolve(self, conversation: ConversationId, agent: str, step: str) -> Resolving: ...


class Door(Protocol):
    """Knows who asks."""

    async def admit(self, scope: Scope) -> ApiKey:
        """Whose request it is. Raises Refused (401, or 503 where the store does not say)."""


Admin = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Changes the route table: the name of the key that asks, and the body; blocking. Raises AgentkitError."""
Feedback = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Takes a judgement: the name of the key that gives it, and the body; blocking. Raises Refused."""


@dataclass(frozen=True)
class Parts:
    """Everything behind the door."""

    table: Table
    upstreams: Upstreams
    door: Door
    settings: RouterSettings = field(default_factory=RouterSettings)
    capture: Capturing = field(default_factory=NoCapture)
    tracing: Tracing = field(default_factory=Tracing.off)
    pseudonym: Callable[[str], str | None] = lambda _: None
    """End user → what is kept of their name."""
    using: Using | None = None
    """Told of each upstream that is in use, as long as it is."""
    admin: Admin | None = None
    feedback: Feedback | None = None
    open_metrics: bool = True
    """Whether `/metrics` wants no key."""
