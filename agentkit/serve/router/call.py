"""One request that was let in: what is known of it so far, and what is kept of it in the end."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agentkit.records import Arm, Exchange, ResponseId, Target
from agentkit.serve.router.asked import Asked
from agentkit.serve.router.joined import Joined
from agentkit.tracing import Caller, Served


@dataclass(slots=True)
class Call:
    """Filled in as the answer comes."""

    asked: Asked
    key: str
    """Name of the API key."""
    revision: int
    arm: Arm
    target: Target
    span: Served
    traceparent: str | None
    """The caller's, as it came."""
    at: str
    started: float
    """`time.perf_counter` when the request came in."""
    id: ResponseId = field(default_factory=lambda: ResponseId(f"chatcmpl-{secrets.token_hex(16)}"))
    joined: Joined = field(default_factory=Joined)
    replica: str = ""
    attempts: int = 0
    status: int = 500
    """Of HTTP, as the caller gets it; 499 where it hung up."""
    error: str | None = None
    """In words, where it failed or broke off."""
    first: float | None = None
    """Seconds to the first streamed piece."""

    @property
    def elapsed(self) -> float:
        """Seconds since the request came in."""
        return time.perf_counter() - self.started

    @property
    def upstream_traceparent(self) -> str | None:
        """For the request that goes upstream: below our own span, or below the caller's where there is none."""
        return self.span.traceparent or (self.traceparent if Caller.of(self.traceparent) else None)

    def finish_span(self) -> None:
        """End the span."""
        self.span.finish(
            status=self.status,
            revision=self.revision,
            arm=self.arm.value,
            target=str(self.target),
            replica=self.replica,
            model=self.joined.model,
            response_id=self.id,
            finish_reason=self.joined.finish_reason,
            usage=self.joined.usage,
            attempts=self.attempts,
            error=None if self.error is None and self.status < 500 else str(self.status),
        )

    def exchange(self, seconds: float, user: str | None) -> Exchange:
        """What is kept; `user` is the pseudonym of the end user."""
        asked, joined, span = self.asked, self.joined, self.span
        caller = None if span.trace_id else Caller.of(self.traceparent)
        return Exchange(
            id=self.id,
            conversation=asked.conversation,
            at=self.at,
            key=self.key,
            agent=asked.agent,
            step=asked.step,
            revision=self.revision,
            arm=self.arm,
            target=self.target,
            replica=self.replica,
            model=joined.model,
            request=self._request(),
            response=joined.message,
            status=self.status,
            error=self.error,
            finish_reason=joined.finish_reason,
            usage=joined.usage,
            latency=seconds,
            first_token=self.first,
            attempts=self.attempts,
            user=user,
            trace_id=caller.trace_id if caller else span.trace_id,
            span_id=span.span_id,
        )

    def _request(self) -> dict[str, Any]:
        """The body that is kept: of the metadata only whether the user consents; callers may write anything there."""
        asked = self.asked
        consent = {} if asked.consent is None else {"metadata": {"consent": asked.consent}}
        return {"model": asked.name, **asked.body, **consent}


def now() -> str:
    """The time, RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
