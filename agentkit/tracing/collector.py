"""OTLP over HTTP: OpenTelemetry's exporters, made to account for what arrives and to keep their voices down.

They read endpoint, headers, certificates, compression and timeout from the standard variables themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from agentkit.errors import ConfigError
from agentkit.tracing.delivery import Delivery, Overheard


class CollectorSpans(OTLPSpanExporter):
    def __init__(self, delivery: Delivery) -> None:
        self._delivery, self._overheard = delivery, Overheard(delivery, OTLPSpanExporter.__module__)
        with _headers_unsaid():
            super().__init__()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE if self._delivery.hopeless else super().export(spans)
        self._delivery.note(len(spans), result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        super().shutdown()  # type: ignore[no-untyped-call]
        self._overheard.stop()


class CollectorLogs(OTLPLogExporter):
    def __init__(self, delivery: Delivery) -> None:
        self._delivery, self._overheard = delivery, Overheard(delivery, OTLPLogExporter.__module__)
        with _headers_unsaid():
            super().__init__()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        result = LogRecordExportResult.FAILURE if self._delivery.hopeless else super().export(batch)
        self._delivery.note(len(batch), result is LogRecordExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        super().shutdown()  # type: ignore[no-untyped-call]
        self._overheard.stop()


class CollectorMetrics(OTLPMetricExporter):
    def __init__(self, delivery: Delivery) -> None:
        self._delivery, self._overheard = delivery, Overheard(delivery, OTLPMetricExporter.__module__)
        with _headers_unsaid():
            super().__init__()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: object
    ) -> MetricExportResult:
        if self._delivery.hopeless:
            result = MetricExportResult.FAILURE
        else:
            result = super().export(metrics_data, timeout_millis, **kwargs)
        self._delivery.note(1, result is MetricExportResult.SUCCESS)
        return result

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        super().shutdown(timeout_millis, **kwargs)
        self._overheard.stop()


@contextmanager
def _headers_unsaid() -> Iterator[None]:
    """Makes OpenTelemetry's complaint about a malformed header, which quotes it, one that does not."""
    complaints: list[logging.LogRecord] = []

    def keep(record: logging.LogRecord) -> bool:
        complaints.append(record)
        return False

    logger = logging.getLogger("opentelemetry.util.re")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
    if complaints:
        raise ConfigError("OTEL_EXPORTER_OTLP_HEADERS: expected name=value pairs, separated by commas")
