"""One conversation of two turns, told to the tracing of a test: what it recorded is in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agentkit.records import (
    Message,
    ModelCall,
    Party,
    Status,
    StepGrade,
    ToolCall,
    ToolSpec,
    Usage,
    Verdict,
)
from agentkit.tracing import Pipeline, Tracing, Trial

CONVERSATION = "3a1f0c52-8a5e-4d0e-9a53-0d6f6a2f9f11"
TOOL = ToolSpec("find_sale", "Look a sale up.", {"type": "object", "properties": {"sale": {"type": "string"}}})
SYSTEM = Message("system", "You work at a till.", turn=-1)


@dataclass
class Recording:
    """A `Tracing` whose exporters keep everything in memory."""

    capture: bool | None = None
    spans_out: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    logs_out: InMemoryLogRecordExporter = field(default_factory=InMemoryLogRecordExporter)
    metrics_out: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    tracing: Tracing = field(init=False)

    def __post_init__(self) -> None:
        pipeline = Pipeline(self.spans_out, SimpleLogRecordProcessor(self.logs_out), self.metrics_out)
        self.tracing = Tracing.open(run_id="run-1", folder=Path("unused"), capture=self.capture, pipeline=pipeline)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.spans_out.get_finished_spans()

    @property
    def logs(self) -> tuple[ReadableLogRecord, ...]:
        return self.logs_out.get_finished_logs()

    def span(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def points(self, metric: str) -> list[HistogramDataPoint]:
        data = self.metrics_out.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
            if isinstance(point, HistogramDataPoint)
        ]


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


def loaded(span: ReadableSpan, attribute: str) -> Any:
    """The value of an attribute that must be a JSON string."""
    value = attributes(span)[attribute]
    assert isinstance(value, str)
    return json.loads(value)


def tell(tracing: Tracing) -> Trial:
    """Plays the conversation: a model call that asks for a tool, the tool, an answer; then a turn of one answer."""
    trial = tracing.trial(conversation_id=CONVERSATION, scenario="shop/refund", variant="golden", index=7, agent="demo")
    request = {"temperature": 0, "top_p": 0.9, "max_tokens": 64, "seed": 3, "stop": ["x"]}
    asked = Message("user", "Where is sale S-1?", turn=0)
    said = [SYSTEM, asked]

    turn = trial.turn(index=0, agent="demo")
    chat = turn.chat(model="tiny", provider="openai", request=request, messages=said, tools=[TOOL])
    call = ToolCall("call-1", "find_sale", {"sale": "S-1"})
    made = ModelCall("tiny-0", Usage(100, 20, 5, 40), finish_reason="tool_calls", response_id="r-1")
    wants = Message("assistant", "", 0, (call,), reasoning="I must look.", call=made, span_id=chat.span_id)
    chat.finish(wants)
    tool = turn.tool(call)
    tool.finish('{"total": 12.5}')
    result = Message("tool", '{"total": 12.5}', 0, tool_call_id="call-1", name="find_sale", span_id=tool.span_id)
    said += [wants, result]
    chat = turn.chat(model="tiny", provider="openai", request=request, messages=said, tools=[TOOL])
    made = ModelCall("tiny-0", Usage(130, 9), finish_reason="stop", response_id="r-2")
    answer = Message("assistant", "It cost 12.50.", 0, call=made, span_id=chat.span_id)
    chat.finish(answer)
    said += [answer]
    for grade in (
        StepGrade("find", Status.PASSED, "call.arguments", "S-1 as asked", 1.0, 0, "lookup", span_id=tool.span_id),
        StepGrade("total", Status.FAILED, "reply.mentions", "no total", 0.0, 0, fault=Party.AGENT),
    ):
        turn.grade(grade)
    met = {tool.span_id: ["find", "read"], turn.span_id: ["total"]} if tool.span_id and turn.span_id else {}
    turn.finish(met, messages=said[1:])

    turn = trial.turn(index=1, agent="demo")
    said += [Message("user", "Thanks, bye", turn=1)]
    chat = turn.chat(model="tiny", provider="openai", request={}, messages=said)
    made = ModelCall("tiny-0", Usage(150, 3), finish_reason="stop")
    said += [Message("assistant", "Bye.", 1, call=made, span_id=chat.span_id)]
    chat.finish(said[-1])
    turn.finish(messages=said[-2:])

    trial.grade(StepGrade("refunded", Status.UNGRADED, "state", "the judge was silent"))
    trial.finish(Verdict.FAILURE, said)
    return trial
