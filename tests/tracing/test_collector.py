"""OTLP over HTTP against a real server on the loopback interface, willing, refusing, mute or absent."""

from __future__ import annotations

import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agentkit.errors import ConfigError
from agentkit.tracing import Pipeline, Tracing
from tests.tracing.traced import tell

SECRET = "s3cr3t-abcdef-0123456789"


class Collector(ThreadingHTTPServer):
    """Keeps every request; answers each path as told, else 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: dict[str, int] = {}
        self.ready = threading.Event()
        """Nothing is answered before."""
        self.ready.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def bodies(self, path: str) -> list[bytes]:
        return [body for found, _, body in self.received if found == path]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.partition("?")[0]
        self.server.ready.wait(30)
        self.server.received.append((path, dict(self.headers), body))
        self.send_response(self.server.answers.get(path, 200))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def play(tmp_path: Path) -> Callable[[], None]:
    def play() -> None:
        tracing = Tracing.open(run_id="r1", folder=tmp_path)
        tell(tracing)
        tracing.close()

    return play


def test_all_signals_go_to_the_endpoint_that_the_variables_name(
    collector: Collector, play: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{SECRET}")
    play()
    spans = [
        span.name
        for body in collector.bodies("/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for span in resource.scope_spans[0].spans
    ]
    assert Counter(name.split()[0] for name in spans) == {
        "chat": 3,
        "execute_tool": 1,
        "invoke_agent": 2,
        "invoke_workflow": 1,
    }
    (logs,) = collector.bodies("/v1/logs")
    records = ExportLogsServiceRequest.FromString(logs).resource_logs[0].scope_logs[0].log_records
    assert {record.event_name for record in records} == {"gen_ai.evaluation.result"}
    (metrics,) = collector.bodies("/v1/metrics")
    assert len(ExportMetricsServiceRequest.FromString(metrics).resource_metrics[0].scope_metrics[0].metrics) == 3
    assert {headers["authorization"] for _, headers, _ in collector.received} == {f"Bearer {SECRET}"}
    assert list(tmp_path.iterdir()) == []


def test_an_endpoint_for_traces_alone_leaves_the_rest_to_files(
    collector: Collector, play: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/custom/path")
    play()
    assert {path for path, _, _ in collector.received} == {"/custom/path"}
    assert {file.name for file in tmp_path.iterdir()} == {"logs.jsonl", "metrics.jsonl"}


def test_a_signal_can_be_switched_off(
    collector: Collector, play: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    play()
    assert {path for path, _, _ in collector.received} == {"/v1/traces"}
    assert list(tmp_path.iterdir()) == []


def test_asked_for_without_an_endpoint_it_is_the_local_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    pipeline = Pipeline.from_environment(tmp_path)
    assert [(found.signal, found.place) for found in pipeline.deliveries] == [
        ("traces", "http://localhost:4318/v1/traces")
    ]
    assert (pipeline.logs, pipeline.metrics) == (None, None)
    assert pipeline.spans is not None
    pipeline.spans.shutdown()


def test_a_viewer_without_logs_costs_one_warning(
    collector: Collector,
    play: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    collector.answers = {"/v1/logs": 404}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    with caplog.at_level(logging.DEBUG):
        play()
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"3 of 3 logs records did not reach {collector.url}/v1/logs" in warning.getMessage()
    assert "404" in warning.getMessage()
    assert "traces" not in warning.getMessage()


def test_what_a_full_queue_drops_is_in_the_account(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    for queue in ("OTEL_BSP", "OTEL_BLRP"):
        monkeypatch.setenv(f"{queue}_MAX_QUEUE_SIZE", "2")
        monkeypatch.setenv(f"{queue}_MAX_EXPORT_BATCH_SIZE", "2")
    collector.ready.clear()
    tracing = Tracing.open(run_id="r1", folder=tmp_path)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            tell(tracing)
        collector.ready.set()
        tracing.close()
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    spans = [
        span
        for body in collector.bodies("/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for span in resource.scope_spans[0].spans
    ]
    logs = [
        record
        for body in collector.bodies("/v1/logs")
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for record in resource.scope_logs[0].log_records
    ]
    assert f"{21 - len(spans)} of 21 traces records did not reach" in warning.getMessage()
    assert f"{9 - len(logs)} of 9 logs records did not reach" in warning.getMessage()
    assert "there were more than its queue holds" in warning.getMessage()


@pytest.mark.slow
def test_an_absent_collector_costs_one_warning_without_secrets(
    play: Callable[[], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://user:{SECRET}@127.0.0.1:{port}")
    for signal in ("TRACES", "LOGS", "METRICS"):
        address = f"http://user:{SECRET}@127.0.0.1:{port}/v1/{signal.lower()}?key={SECRET}"
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-api-key={SECRET}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with caplog.at_level(logging.DEBUG):
        play()
    assert SECRET not in caplog.text
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"7 of 7 traces records did not reach http://127.0.0.1:{port}/v1/traces" in warning.getMessage()
    assert "logs records" in warning.getMessage()


@pytest.mark.slow
def test_a_mute_collector_does_not_hold_up_the_end(
    play: Callable[[], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setattr("agentkit.tracing.tracing._PATIENCE", 0.2)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{mute.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
        before = set(threading.enumerate())
        with caplog.at_level(logging.WARNING):
            play()
        (warning,) = caplog.records
        assert "what was still waiting did not reach" in warning.getMessage()
        for thread in set(threading.enumerate()) - before:
            thread.join()


def test_exporters_speak_to_the_log_again_once_tracing_is_closed(
    collector: Collector, play: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    play()
    logger = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    assert [found for found in logger.filters if type(found).__module__.startswith("agentkit")] == []


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_TRACES_EXPORTER", "oltp", r"OTEL_TRACES_EXPORTER: 'oltp'.*did you mean 'otlp'"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", r"OTEL_EXPORTER_OTLP_ENDPOINT: expected an address"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"ftp://u:{SECRET}@h:x/", r"OTEL_EXPORTER_OTLP_ENDPOINT: expected"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", r"OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc'.*http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", SECRET, r"OTEL_EXPORTER_OTLP_HEADERS: expected name=value"),
    ],
)
def test_a_variable_of_no_use_is_named_but_not_its_secret(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=said) as raised:
        Tracing.open(run_id="r1", folder=tmp_path)
    assert SECRET not in str(raised.value) + caplog.text
