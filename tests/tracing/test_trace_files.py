"""Files of OTLP JSON lines: written at once, appended to on resume, whole again after a kill."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentkit.errors import ConfigError
from agentkit.records import Verdict
from agentkit.tracing import Tracing
from agentkit.tracing.files import LineFile
from tests.tracing.traced import tell


def span_names(file: Path) -> list[str]:
    """Of every span in a file; fails where a line is not whole."""
    lines = file.read_text(encoding="utf-8").splitlines()
    requests = [json.loads(line) for line in lines]
    return [
        span["name"]
        for request in requests
        for resource in request["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def test_without_an_endpoint_all_three_signals_go_to_files(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "r1"
    tracing = Tracing.open(run_id="r1", folder=folder)
    tell(tracing)
    tracing.close()
    assert len(span_names(folder / "traces.jsonl")) == 7
    assert len((folder / "logs.jsonl").read_bytes().splitlines()) == 3
    (metrics,) = (folder / "metrics.jsonl").read_bytes().splitlines()
    (scope,) = json.loads(metrics)["resourceMetrics"][0]["scopeMetrics"]
    assert {metric["name"] for metric in scope["metrics"]} == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.execute_tool.duration",
    }


def test_a_turn_is_in_the_file_as_soon_as_it_is_finished(tmp_path: Path) -> None:
    tracing = Tracing.open(run_id="r1", folder=tmp_path)
    trial = tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a")
    trial.turn(index=0, agent="a").finish()
    assert span_names(tmp_path / "traces.jsonl") == ["invoke_agent a"]
    trial.finish(Verdict.SUCCESS)
    assert span_names(tmp_path / "traces.jsonl") == ["invoke_agent a", "invoke_workflow s"]
    tracing.close()


def test_a_resumed_run_appends(tmp_path: Path) -> None:
    for _ in range(2):
        tracing = Tracing.open(run_id="r1", folder=tmp_path)
        tell(tracing)
        tracing.close()
    assert len(span_names(tmp_path / "traces.jsonl")) == 14


@pytest.mark.parametrize("torn", [b'{"resourceSpans": [{"reso', b"x" * 200_000])
def test_a_torn_last_line_does_not_spoil_what_follows(tmp_path: Path, torn: bytes) -> None:
    file = tmp_path / "traces.jsonl"
    whole = b'{"resourceSpans": []}\n'
    for before in (b"", whole, whole * 2):
        file.write_bytes(before + torn)
        tracing = Tracing.open(run_id="r1", folder=tmp_path)
        assert file.read_bytes() == before
        tell(tracing)
        tracing.close()
        assert len(span_names(file)) == 7


_TALKER = """
import sys
from pathlib import Path
from tests.tracing.traced import tell
from agentkit.tracing import Tracing

tracing = Tracing.open(run_id="r1", folder=Path(sys.argv[1]))
while True:
    tell(tracing)
    print("trial", flush=True)
"""


def test_what_was_finished_survives_a_kill(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    finished = 0
    for _ in range(3):
        talker = subprocess.Popen(
            [sys.executable, "-c", _TALKER, str(tmp_path)], stdout=subprocess.PIPE, env=environment
        )
        assert talker.stdout is not None
        for _ in range(3):
            talker.stdout.readline()
        talker.send_signal(signal.SIGKILL)
        finished += 3 + talker.stdout.read().count(b"trial\n")
        talker.stdout.close()
        talker.wait()
    Tracing.open(run_id="r1", folder=tmp_path).close()
    roots = span_names(tmp_path / "traces.jsonl").count("invoke_workflow shop/refund")
    assert finished <= roots <= finished + 3


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"file/traces\.jsonl: traces cannot be written there"):
        Tracing.open(run_id="r1", folder=tmp_path / "file")


def test_a_full_disk_loses_lines_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracing = Tracing.open(run_id="r1", folder=tmp_path)
    tell(tracing)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
    tell(tracing)
    monkeypatch.setattr(os, "write", write)
    tell(tracing)
    with caplog.at_level(logging.WARNING):
        tracing.close()
    assert len(span_names(tmp_path / "traces.jsonl")) == 14
    (record,) = caplog.records
    assert "7 of 21 traces records did not reach" in record.getMessage()
    assert "3 of 9 logs records did not reach" in record.getMessage()


def test_what_cannot_be_encoded_is_counted_and_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracing = Tracing.open(run_id="r1", folder=tmp_path)
    trial = tracing.trial(conversation_id="\ud800", scenario="s", variant="golden", index=0, agent="a")
    trial.finish(Verdict.SUCCESS)
    tell(tracing)
    with caplog.at_level(logging.WARNING):
        tracing.close()
    assert len(span_names(tmp_path / "traces.jsonl")) == 7
    (record,) = caplog.records
    assert "1 of 8 traces records did not reach" in record.getMessage()


def test_a_closed_file_takes_nothing_more(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "lines")
    assert file.write(b"one\n")
    file.close()
    file.close()
    assert not file.write(b"two\n")
    assert (tmp_path / "lines").read_bytes() == b"one\n"


def test_a_limit_on_values_from_the_standard_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "12")
    tracing = Tracing.open(run_id="r1", folder=tmp_path)
    tell(tracing)
    tracing.close()
    lines = [json.loads(line) for line in (tmp_path / "traces.jsonl").read_bytes().splitlines()]
    spans = [span for line in lines for span in line["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    values = [found["value"].get("stringValue", "") for span in spans for found in span["attributes"]]
    assert max(map(len, values)) == 12


def test_a_variable_that_should_be_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "short")
    with pytest.raises(ConfigError, match="OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"):
        Tracing.open(run_id="r1", folder=tmp_path)
