"""What the four spans have in common: identity, steps, grades, and an end that comes before the export.

Parents are handed down explicitly, never through context variables, because the runner's nodes run in copied
contexts. A span here can still be told which steps it met after it has ended, as OpenTelemetry's cannot; it
becomes one of those when it is exported. That also takes half the time.
"""

from __future__ import annotations

import time
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from agentkit.records import StepGrade
from agentkit.redact import redact
from agentkit.tracing import attributes as names
from agentkit.tracing.content import name, text
from agentkit.tracing.recorder import Recorder

KINDS: Final = {
    names.INVOKE_WORKFLOW: "CHAIN",
    names.INVOKE_AGENT: "AGENT",
    names.CHAT: "LLM",
    names.EXECUTE_TOOL: "TOOL",
    names.JOB: "CHAIN",
    names.STAGE: "CHAIN",
    names.PHASE: "CHAIN",
    names.UPDATE: "CHAIN",
    names.EVALUATION: "EVALUATOR",
}
"""OpenInference's word for each operation: what viewers draw by."""

_SAMPLED, _DROPPED = TraceFlags(0x03), TraceFlags(0x02)
"""Flags of W3C Trace Context: recorded or not, and in both cases with random ids."""

_FINE: Final = Status(StatusCode.UNSET)

Attributes = dict[str, Any]


class Clock:
    """Wall-clock nanoseconds that never run backwards within a trial."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.perf_counter_ns()

    def now(self) -> int:
        return self._offset + time.perf_counter_ns()


class Span:
    """One span. Where nothing is recorded, every method does nothing."""

    trace_id: str | None = None
    """32 hexadecimal digits; None where tracing is off."""
    span_id: str | None = None
    """16 hexadecimal digits; None where tracing is off."""
    recording = False
    _own: SpanContext

    def __init__(
        self,
        recorder: Recorder,
        clock: Clock,
        session: str,
        operation: str,
        subject: str,
        attributes: Attributes,
        *,
        parent: Span | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> None:
        self.recorder = recorder
        self.clock = clock
        self.session = session
        if not recorder.on:
            return
        self._name = name(f"{operation} {subject}")
        self._kind = kind
        self._parent = parent._own if parent else None
        self._attributes: Attributes = {
            names.OPERATION_NAME: operation,
            names.CONVERSATION_ID: session,
            names.SESSION_ID: session,
            names.SPAN_KIND: KINDS[operation],
            **attributes,
        }
        trace = parent._own.trace_id if parent else recorder.new_id(128)
        self.recording = parent.recording if parent else recorder.samples(trace, self._name, self._attributes)
        flags = _SAMPLED if self.recording else _DROPPED
        self._own = SpanContext(trace, recorder.new_id(64), is_remote=False, trace_flags=flags)
        self.trace_id = parent.trace_id if parent else format_trace_id(trace)
        self.span_id = format_span_id(self._own.span_id)
        self._status = _FINE
        self._steps: list[str] = []
        self._started = clock.now()
        self._ended: int | None = None

    @property
    def traceparent(self) -> str | None:
        """For the `traceparent` header of a request made on this span's behalf (W3C Trace Context)."""
        if self.trace_id is None:
            return None
        return f"00-{self.trace_id}-{self.span_id}-{self._own.trace_flags:02x}"

    @property
    def open(self) -> bool:
        """Whether there is still something to record."""
        return self.recording and self._ended is None

    @property
    def pending(self) -> bool:
        """Whether its end is still to come: metrics count it even where its trace was not sampled."""
        return self.recorder.on and self._ended is None

    def step(self, step: str) -> None:
        """Says that this span met the step; possible until its turn (of the root: the trial) finishes."""
        if self.recording:
            self._steps.append(step)

    def grade(self, grade: StepGrade, *, outcome: bool = False) -> None:
        """Records a grade as an event inside the span that it names, else inside this one.

        `outcome`: it is that of an outcome check.
        """
        if not self.recording:
            return
        said: Attributes = {
            names.EVALUATION_NAME: grade.step,
            names.EVALUATION_LABEL: grade.status.value,
            names.CHECK: grade.check,
            names.CONVERSATION_ID: self.session,
            names.SESSION_ID: self.session,
        }
        if outcome:
            said[names.OUTCOME] = True
        if grade.turn is not None:
            said[names.TURN_INDEX] = grade.turn
        if grade.score is not None:
            said[names.EVALUATION_SCORE] = float(grade.score)
        if grade.skill is not None:
            said[names.SKILL] = grade.skill
        if grade.fault is not None:
            said[names.FAULT] = grade.fault.value
        if self.recorder.capture.anywhere:  # a reason quotes the conversation
            said[names.EVALUATION_EXPLANATION] = text(grade.reason)
        self.event(names.EVALUATION_RESULT, said, span_id=grade.span_id)

    def event(self, event: str, attributes: Attributes, *, span_id: str | None = None, debug: bool = False) -> None:
        """Emits a log record inside the span of this trace that `span_id` names, else inside this one."""
        inside = self._own
        if span_id is not None and span_id != self.span_id:
            inside = SpanContext(inside.trace_id, int(span_id, 16), False, inside.trace_flags)
        context = set_span_in_context(NonRecordingSpan(inside), Context())
        self.recorder.event(event, context, self.clock.now(), attributes, debug=debug)

    def end(self, attributes: Attributes, error: str | BaseException | None = None) -> float:
        """Notes the end, without exporting yet; returns the duration in seconds."""
        self._ended = self.clock.now()
        self._attributes |= attributes
        if error is not None:
            self._attributes[names.ERROR_TYPE] = error_type(error)
            told = None
            if isinstance(error, BaseException) and self.recorder.capture.anywhere:  # it may quote the conversation
                told = text(redact(str(error)))
            self._status = Status(StatusCode.ERROR, told)
        return (self._ended - self._started) / 1e9

    def finished(self) -> ReadableSpan:
        """The ended span, ready for export."""
        if self._steps:
            self._attributes[names.STEP_NAME] = ",".join(dict.fromkeys(self._steps))
        return ReadableSpan(
            name=self._name,
            context=self._own,
            parent=self._parent,
            resource=self.recorder.resource,
            attributes=self.recorder.limited(self._attributes),
            kind=self._kind,
            status=self._status,
            start_time=self._started,
            end_time=self._ended,
            instrumentation_scope=self.recorder.scope,
        )


def error_type(error: str | BaseException) -> str:
    """The exception's qualified name, as `error.type` wants it; a string is one already."""
    if isinstance(error, str):
        return name(error)
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
