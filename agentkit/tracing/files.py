"""Exporters that append lines of OTLP JSON to a file; a kill at any moment costs at most the last line.

Each export is one write, made before the call returns: nothing waits in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agentkit.errors import ConfigError
from agentkit.tracing.delivery import Delivery
from agentkit.tracing.otlp_json import logs_line, metrics_line, spans_line

_CHUNK = 65_536


class LineFile:
    """A file of lines, opened to append. A last line without an end, which a kill leaves, is cut off."""

    def __init__(self, path: Path) -> None:
        """Raises `ConfigError` where the file cannot be opened for writing."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd: int | None = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._cut_torn_line(self._fd)
        except OSError as error:
            raise ConfigError(f"{path}: traces cannot be written there: {error.strerror}") from error
        self._torn = False

    def write(self, line: bytes) -> bool:
        """Appends a whole line; says whether it could (a full disk, say, or a closed file)."""
        if self._fd is None:
            return False
        try:
            if self._torn:
                self._cut_torn_line(self._fd)
            self._torn = os.write(self._fd, line) < len(line)
        except OSError:
            self._torn = True
        return not self._torn

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @staticmethod
    def _cut_torn_line(fd: int) -> None:
        size = end = os.fstat(fd).st_size
        while end:
            start = max(0, end - _CHUNK)
            newline = os.pread(fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(fd, end)


def _append(file: LineFile, delivery: Delivery, count: int, encode: Callable[[], bytes]) -> bool:
    """Writes a line of `count` records; what cannot be encoded or written is lost, and accounted for."""
    try:
        done = file.write(encode())
    except (TypeError, ValueError) as error:
        delivery.reason, done = type(error).__qualname__, False
    delivery.note(count, done)
    return done


class FileSpans(SpanExporter):
    def __init__(self, path: Path, delivery: Delivery) -> None:
        self._file, self._delivery = LineFile(path), delivery

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        done = _append(self._file, self._delivery, len(spans), lambda: spans_line(spans))
        return SpanExportResult.SUCCESS if done else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._file.close()


class FileLogs(LogRecordExporter):
    def __init__(self, path: Path, delivery: Delivery) -> None:
        self._file, self._delivery = LineFile(path), delivery

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        done = _append(self._file, self._delivery, len(batch), lambda: logs_line(batch))
        return LogRecordExportResult.SUCCESS if done else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        self._file.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class FileMetrics(MetricExporter):
    def __init__(self, path: Path, delivery: Delivery) -> None:
        super().__init__()
        self._file, self._delivery = LineFile(path), delivery

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        done = _append(self._file, self._delivery, 1, lambda: metrics_line(metrics_data))
        return MetricExportResult.SUCCESS if done else MetricExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        self._file.close()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True
