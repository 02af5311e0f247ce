"""What can answer a request, as the router sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agentkit.records import Target


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server that can answer for a target."""

    name: str
    """Of the replica, or of the upstream in the project's configuration."""
    base_url: str
    """Ends in `/v1`."""
    model: str
    """What the request's `model` becomes."""
    api_key: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: float = 120.0
    """Seconds that an answer may take."""


class Upstreams(Protocol):
    """Knows what can answer now."""

    def serving(self, target: Target) -> Sequence[Upstream]:
        """Those that can answer for the target at this moment; empty where none can. Never waits."""

    def known(self, target: Target) -> bool:
        """Whether there is such a target at all, up or not."""
