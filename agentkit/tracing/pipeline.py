"""Where the spans, logs and metrics of a run go, as OpenTelemetry's standard variables say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from agentkit.errors import ConfigError, near_match
from agentkit.tracing.delivery import Delivery, Overheard
from agentkit.tracing.files import FileLogs, FileMetrics, FileSpans

_EXPORTERS = ("otlp", "none")
_LOCAL_COLLECTOR = "http://localhost:4318"
"""Where the OTLP specification looks when an exporter is asked for and no endpoint is named."""
_QUEUE, _FULL = "opentelemetry.sdk._shared_internal", "Queue full"
"""The logger of OpenTelemetry's queues, and how its complaint begins: the account at the end tells what was dropped."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A way out per signal; None where the signal is not wanted.

    Spans come a turn at a time, and the exporter is called as the turn ends.
    """

    spans: SpanExporter | None = None
    logs: LogRecordProcessor | None = None
    metrics: MetricReader | None = None
    deliveries: tuple[Delivery, ...] = ()

    @classmethod
    def from_environment(cls, folder: Path) -> Pipeline:
        """Each signal to the collector that the variables name, else to a file of OTLP JSON in `folder`.

        Raises `ConfigError` for a variable that cannot be used and for a folder that cannot be written.
        """
        spans = _destination("traces", folder)
        logs = _destination("logs", folder)
        metrics = _destination("metrics", folder)
        return cls(
            _span_exporter(spans) if spans else None,
            _log_processor(logs) if logs else None,
            _metric_reader(metrics) if metrics else None,
            tuple(delivery for delivery in (spans, logs, metrics) if delivery),
        )

    @classmethod
    def spans_from_environment(cls, folder: Path) -> Pipeline:
        """The same for spans alone. Raises as `from_environment`."""
        spans = _destination("traces", folder)
        return cls(_span_exporter(spans), deliveries=(spans,)) if spans else cls()

    @classmethod
    def spans_to_collector(cls) -> Pipeline:
        """Spans alone, to the collector that the variables name; nothing where they name none. Raises `ConfigError` for
        a variable that cannot be used."""
        spans = _destination("traces", Path())
        if spans is None or isinstance(spans.place, Path):
            return cls()
        return cls(_span_exporter(spans), deliveries=(spans,))


class _Background(SpanExporter):
    """Exports on OpenTelemetry's own thread, in batches of the size that the standard variables set."""

    def __init__(self, exporter: SpanExporter, to: Delivery) -> None:
        self._delivery, self._overheard = to, Overheard(to, _QUEUE, _FULL)
        self._processor = BatchSpanProcessor(exporter)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._delivery.queue(len(spans))
        for span in spans:
            self._processor.on_end(span)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._processor.shutdown()  # type: ignore[no-untyped-call]
        self._overheard.stop()


class _BackgroundLogs(LogRecordProcessor):
    """The same for logs."""

    def __init__(self, exporter: LogRecordExporter, to: Delivery) -> None:
        self._delivery, self._overheard = to, Overheard(to, _QUEUE, _FULL)
        self._processor = BatchLogRecordProcessor(exporter)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self._delivery.queue(1)
        self._processor.on_emit(log_record)

    def shutdown(self) -> None:
        self._processor.shutdown()  # type: ignore[no-untyped-call]
        self._overheard.stop()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._processor.force_flush(timeout_millis)


def _span_exporter(to: Delivery) -> SpanExporter:
    if isinstance(to.place, Path):
        return FileSpans(to.place, to)
    from agentkit.tracing.collector import CollectorSpans  # pulls in an HTTP client and protobuf

    return _Background(CollectorSpans(to), to)


def _log_processor(to: Delivery) -> LogRecordProcessor:
    if isinstance(to.place, Path):
        return SimpleLogRecordProcessor(FileLogs(to.place, to))
    from agentkit.tracing.collector import CollectorLogs

    return _BackgroundLogs(CollectorLogs(to), to)


def _metric_reader(to: Delivery) -> MetricReader:
    if isinstance(to.place, Path):
        return PeriodicExportingMetricReader(FileMetrics(to.place, to))
    from agentkit.tracing.collector import CollectorMetrics

    return PeriodicExportingMetricReader(CollectorMetrics(to))


def _destination(signal: str, folder: Path) -> Delivery | None:
    """Where `traces`, `logs` or `metrics` go; None where `OTEL_<SIGNAL>_EXPORTER` is `none`."""
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    wanted = os.environ.get(variable, "").strip().lower()
    if wanted and wanted not in _EXPORTERS:
        raise ConfigError(f"{variable}: {wanted!r} is neither otlp nor none{near_match(wanted, _EXPORTERS)}")
    if wanted == "none":
        return None
    variable, endpoint = _endpoint(signal)
    if not endpoint and wanted != "otlp":
        return Delivery(signal, folder / f"{signal}.jsonl")
    _require_protobuf(signal)
    return Delivery(signal, _presentable(variable, endpoint or f"{_LOCAL_COLLECTOR}/v1/{signal}"))


def _endpoint(signal: str) -> tuple[str, str]:
    """The variable that names the endpoint, and the whole address; both empty where none does."""
    own, common = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    if endpoint := os.environ.get(own, "").strip():
        return own, endpoint
    if endpoint := os.environ.get(common, "").strip():
        return common, f"{endpoint.removesuffix('/')}/v1/{signal}"
    return "", ""


def _require_protobuf(signal: str) -> None:
    for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := os.environ.get(variable, "").strip():
            if protocol != "http/protobuf":
                raise ConfigError(f"{variable}: {protocol!r} is not supported; expected http/protobuf")
            return


def _presentable(variable: str, endpoint: str) -> str:
    """The endpoint without user name and query, where people put keys; `ConfigError` if it is no address."""
    try:
        url = urlsplit(endpoint)
        port = f":{url.port}" if url.port else ""
    except ValueError:
        url, port = urlsplit(""), ""
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"{variable}: expected an address such as {_LOCAL_COLLECTOR}")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}{port}{url.path}"
