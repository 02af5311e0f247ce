"""Spans, log records and histograms as the JSON form of OTLP: one export request a line.

Follows the mapping of the OTLP specification: protobuf's JSON with ids in hexadecimal, enums as integers and
64-bit integers as strings. It encodes what agentkit emits, so neither span events nor links, and of metrics
histograms only. OpenTelemetry has an exporter for this in beta; it takes several times as long for a span.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

import orjson
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint, Metric, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import format_span_id, format_trace_id

Json = dict[str, Any]

_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
"""Bits of a span's flags: that it is known whether the parent is in another process, and that it is."""


def spans_line(spans: Sequence[ReadableSpan]) -> bytes:
    """An `ExportTraceServiceRequest`."""
    return _line("resourceSpans", "scopeSpans", "spans", spans, _span)


def logs_line(records: Sequence[ReadableLogRecord]) -> bytes:
    """An `ExportLogsServiceRequest`."""
    return _line("resourceLogs", "scopeLogs", "logRecords", records, _log_record)


def metrics_line(data: MetricsData) -> bytes:
    """An `ExportMetricsServiceRequest`. Raises `TypeError` for anything but explicit-bucket histograms."""
    resources = [
        {
            "resource": _resource(resource.resource),
            "scopeMetrics": [
                {"scope": _scope(scope.scope), "metrics": [_metric(metric) for metric in scope.metrics]}
                for scope in resource.scope_metrics
            ],
        }
        for resource in data.resource_metrics
    ]
    return orjson.dumps({"resourceMetrics": resources}, option=orjson.OPT_APPEND_NEWLINE)


Emitted = TypeVar("Emitted", ReadableSpan, ReadableLogRecord)


def _line(outer: str, inner: str, leaf: str, items: Sequence[Emitted], encode: Callable[[Emitted], Json]) -> bytes:
    """Items keep their order; neighbours of one resource and scope stand together."""
    resources = [
        {
            "resource": _resource(resource),
            inner: [
                {"scope": _scope(scope), leaf: [encode(item) for item in alike]}
                for scope, alike in groupby(group, lambda item: item.instrumentation_scope)
            ],
        }
        for resource, group in groupby(items, lambda item: item.resource)
    ]
    return orjson.dumps({outer: resources}, option=orjson.OPT_APPEND_NEWLINE)


def _span(span: ReadableSpan) -> Json:
    context, parent, status = span.context, span.parent, span.status
    assert context is not None
    found: Json = {
        "traceId": format_trace_id(context.trace_id),
        "spanId": format_span_id(context.span_id),
        "name": span.name,
        "kind": span.kind.value + 1,  # OTLP keeps 0 for "unspecified"
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _attributes(span.attributes),
        "status": {"code": status.status_code.value},
        "flags": _HAS_IS_REMOTE | (_IS_REMOTE if parent is not None and parent.is_remote else 0),
    }
    if parent is not None:
        found["parentSpanId"] = format_span_id(parent.span_id)
    if context.trace_state:
        found["traceState"] = context.trace_state.to_header()
    if status.description:
        found["status"]["message"] = status.description
    if span.dropped_attributes:
        found["droppedAttributesCount"] = span.dropped_attributes
    return found


def _log_record(readable: ReadableLogRecord) -> Json:
    record = readable.log_record
    found: Json = {
        "timeUnixNano": str(record.timestamp or 0),
        "observedTimeUnixNano": str(record.observed_timestamp or 0),
        "attributes": _attributes(record.attributes),
        "flags": int(record.trace_flags or 0),
    }
    if record.trace_id:
        found["traceId"] = format_trace_id(record.trace_id)
    if record.span_id:
        found["spanId"] = format_span_id(record.span_id)
    if record.event_name:
        found["eventName"] = record.event_name
    if record.severity_number is not None:
        found["severityNumber"] = record.severity_number.value
    if record.body is not None:
        found["body"] = _value(record.body)
    if readable.dropped_attributes:
        found["droppedAttributesCount"] = readable.dropped_attributes
    return found


def _metric(metric: Metric) -> Json:
    if not isinstance(metric.data, Histogram):
        raise TypeError(f"{metric.name} is no histogram")
    return {
        "name": metric.name,
        "description": metric.description or "",
        "unit": metric.unit or "",
        "histogram": {
            "aggregationTemporality": metric.data.aggregation_temporality.value,
            "dataPoints": [_data_point(point) for point in metric.data.data_points],
        },
    }


def _data_point(point: HistogramDataPoint) -> Json:
    return {
        "attributes": _attributes(point.attributes),
        "startTimeUnixNano": str(point.start_time_unix_nano),
        "timeUnixNano": str(point.time_unix_nano),
        "count": str(point.count),
        "sum": point.sum,
        "min": point.min,
        "max": point.max,
        "bucketCounts": [str(count) for count in point.bucket_counts],
        "explicitBounds": list(point.explicit_bounds),
    }


def _resource(resource: Resource) -> Json:
    return {"attributes": _attributes(resource.attributes)}


def _scope(scope: InstrumentationScope | None) -> Json:
    return {} if scope is None else {"name": scope.name, "version": scope.version or ""}


def _attributes(attributes: Mapping[str, Any] | None) -> list[Json]:
    if not attributes:
        return []
    # Nearly all values are strings; asking here spares a call for each.
    return [
        {"key": key, "value": {"stringValue": value} if type(value) is str else _value(value)}
        for key, value in attributes.items()
    ]


def _value(value: Any) -> Json:
    """An `AnyValue`."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if value is None:
        return {}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {"arrayValue": {"values": [_value(item) for item in value]}}
