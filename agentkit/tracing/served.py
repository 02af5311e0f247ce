"""The span of a request that is served: `chat {agent}/{step}`, inside the trace of whoever asked."""

from __future__ import annotations

import re
from typing import Final

from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from agentkit.records import Usage
from agentkit.tracing import attributes as names
from agentkit.tracing.content import name
from agentkit.tracing.recorder import Recorder
from agentkit.tracing.span import Attributes, Clock, Span

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_SAMPLED: Final = 0x01


class Caller(Span):
    """The span on whose behalf somebody asks, in another process: what its `traceparent` header says of it."""

    def __init__(self, trace: str, span: str, flags: int) -> None:
        self.trace_id, self.span_id = trace, span
        self.recording = bool(flags & _SAMPLED)
        self._own = SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(flags))

    @classmethod
    def of(cls, traceparent: str | None) -> Caller | None:
        """None where there is no header, or it is none of W3C Trace Context."""
        found = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
        return None if found is None else cls(found[1], found[2], int(found[3], 16))


class Served(Span):
    """One request, from its arrival to its last byte. Words are never on it: they have not been redacted yet."""

    def __init__(
        self, recorder: Recorder, caller: Caller | None, conversation: str, agent: str, step: str, model: str
    ) -> None:
        about: Attributes = {}
        if recorder.on:
            about = {names.AGENT_NAME: name(agent), names.REQUEST_MODEL: name(model), names.STEP_NAME: name(step)}
        super().__init__(
            recorder,
            Clock(),
            name(conversation),
            names.CHAT,
            f"{agent}/{step}" if step else agent,
            about,
            parent=caller,
            kind=SpanKind.SERVER,
        )

    def finish(
        self,
        *,
        status: int,
        revision: int,
        arm: str,
        target: str,
        replica: str,
        model: str,
        response_id: str,
        finish_reason: str | None,
        usage: Usage,
        attempts: int,
        error: str | None = None,
    ) -> None:
        """Ends the span and exports it. `status` is that of HTTP; `error` a short word for what failed."""
        if not self.open:
            return
        found: Attributes = {
            names.HTTP_STATUS: status,
            names.REVISION: revision,
            names.ARM: arm,
            names.TARGET: name(target),
            names.REPLICA: name(replica),
            names.ATTEMPTS: attempts,
            names.RESPONSE_ID: response_id,
        }
        if model:
            found[names.RESPONSE_MODEL] = name(model)
        if finish_reason:
            found[names.RESPONSE_FINISH_REASONS] = (name(finish_reason),)
        if usage.total:
            found[names.INPUT_TOKENS], found[names.OUTPUT_TOKENS] = usage.input_tokens, usage.output_tokens
        self.end(found, error)
        self.recorder.export([self.finished()])
