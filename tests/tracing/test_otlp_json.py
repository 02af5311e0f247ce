"""The lines of JSON mean the same as what OpenTelemetry's own protobuf encoder says, field by field."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message as Protobuf
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from agentkit.tracing.content import CAPTURE_VARIABLE
from agentkit.tracing.otlp_json import logs_line, metrics_line, spans_line
from tests.tracing.traced import Recording, tell

IDS = {"traceId", "spanId", "parentSpanId"}


def parsed(line: bytes, into: Protobuf) -> Protobuf:
    """Protobuf's own JSON parser; it reads bytes as base64 where OTLP writes ids as hexadecimal digits."""
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return ParseDict(_base64_ids(json.loads(line)), into)


def _base64_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_base64_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode() if key in IDS else _base64_ids(value)
        for key, value in node.items()
    }


def test_spans_of_a_conversation(recording: Recording) -> None:
    tell(recording.tracing)
    assert len(recording.spans) == 7
    assert parsed(spans_line(recording.spans), ExportTraceServiceRequest()) == encode_spans(recording.spans)


def test_spans_of_every_kind_with_values_of_every_type() -> None:
    state = TraceState([("vendor", "1")])
    remote = SpanContext(2**128 - 1, 2**64 - 1, is_remote=True, trace_flags=TraceFlags(1))
    values: dict[str, Any] = {
        "text": 'naïve\n"quoted" \u2028 🙂',
        "true": True,
        "int": -(2**63),
        "float": 0.1,
        "many": ("a", "b"),
        "mixed": [1, {"deep": [None, 2.5, b"\x00\xff"]}],
        "nothing": None,
    }
    spans = [
        ReadableSpan(
            name=f"span {kind.name}",
            context=SpanContext(1, kind.value + 1, is_remote=False, trace_state=state),
            parent=remote if kind is SpanKind.SERVER else None,
            resource=Resource({"service.name": "s"}),
            attributes=values,
            kind=kind,
            status=Status(StatusCode.ERROR, "no") if kind is SpanKind.CLIENT else Status(StatusCode.OK),
            start_time=1,
            end_time=1_763_888_888_123_456_789,
            instrumentation_scope=InstrumentationScope("scope", "1"),
        )
        for kind in SpanKind
    ]
    assert parsed(spans_line(spans), ExportTraceServiceRequest()) == encode_spans(spans)


def test_spans_of_two_resources_stay_apart() -> None:
    spans = [
        ReadableSpan(
            name=f"span {number}",
            context=SpanContext(1, number, is_remote=False),
            resource=Resource({"service.name": service}),
            start_time=1,
            end_time=2,
            instrumentation_scope=InstrumentationScope("scope", "1"),
        )
        for number, service in enumerate(("a", "a", "b"), 1)
    ]
    line = spans_line(spans)
    assert len(json.loads(line)["resourceSpans"]) == 2
    assert parsed(line, ExportTraceServiceRequest()) == encode_spans(spans)


def test_logs_with_structured_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, "EVENT_ONLY")
    recording = Recording()
    tell(recording.tracing)
    assert len(recording.logs) == 6
    expected = encode_logs(recording.logs)
    for record in expected.resource_logs[0].scope_logs[0].log_records:
        assert not record.body.WhichOneof("value")
        record.ClearField("body")  # it writes a body of nothing where there is none
    assert parsed(logs_line(recording.logs), ExportLogsServiceRequest()) == expected
    recording.tracing.close()


def test_metrics(recording: Recording) -> None:
    tell(recording.tracing)
    data = recording.metrics_out.get_metrics_data()
    assert data is not None
    assert parsed(metrics_line(data), ExportMetricsServiceRequest()) == encode_metrics(data)


def test_other_metrics_are_refused_not_left_out() -> None:
    reader = InMemoryMetricReader()
    MeterProvider([reader], shutdown_on_exit=False).get_meter("m").create_counter("plays").add(1)
    data = reader.get_metrics_data()
    assert data is not None
    with pytest.raises(TypeError, match="plays is no histogram"):
        metrics_line(data)


def test_ids_are_hexadecimal_enums_numbers_and_nanoseconds_strings(recording: Recording) -> None:
    trial = tell(recording.tracing)
    (resource,) = json.loads(spans_line(recording.spans))["resourceSpans"]
    root = resource["scopeSpans"][0]["spans"][-1]
    assert (root["traceId"], root["spanId"], root["kind"]) == (trial.trace_id, trial.span_id, 1)
    assert root["startTimeUnixNano"] == str(recording.spans[-1].start_time)
