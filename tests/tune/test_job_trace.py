"""The trace of a training job: what it holds, how it goes on in the training program, and nothing where it is off."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agentkit.tracing import Pipeline, Tracing
from agentkit.tune.job_trace import JobTrace
from agentkit.tune.phase import JOB, TRACEPARENT
from agentkit.tune.trainer.progress import Progress
from agentkit.tune.trainer.traced import traced
from tests.tune.spans import spans_in

SECRET = "the customer's own words"


def told(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


def kept() -> tuple[InMemorySpanExporter, Tracing]:
    exporter = InMemorySpanExporter()
    return exporter, Tracing.of_job("job-1", Path("unused"), Pipeline(exporter))


def test_updates_and_evaluations_stand_below_the_phase_with_their_numbers(tmp_path: Path) -> None:
    exporter, tracing = kept()
    phase = tracing.phase("job-1", "grpo", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    progress = Progress(tmp_path / "progress.jsonl", phase)
    with progress.timed("evaluation"):
        pass
    progress.tell("evaluation", step=0, passed=3, graded=8, length=21.5)
    progress.mark("update")
    with progress.timed("generation"):
        pass
    progress.mark("updated")
    progress.tell("step", step=1, of=4, left=9.0, loss=0.25, **{"rewards/right_tool/mean": 0.5, "entropy": None})
    progress.tell("stop", step=1, reason=SECRET)
    phase.finish({"agentkit.train.best": 1})
    evaluation, update, root = exporter.get_finished_spans()
    assert [it.name for it in (evaluation, update, root)] == ["evaluation 0", "update 1", "phase grpo"]
    assert root.parent is not None
    assert f"{root.parent.span_id:016x}" == "b" * 16
    assert {it.context.trace_id for it in (evaluation, update, root) if it.context} == {int("a" * 32, 16)}
    for part in (evaluation, update):
        assert part.parent == root.context
        times = (root.start_time, part.start_time, part.end_time, root.end_time)
        assert list(times) == sorted(time or 0 for time in times)
    assert told(evaluation)["agentkit.train.evaluation.passed"] == 3
    assert told(evaluation)["openinference.span.kind"] == "EVALUATOR"
    numbers = dict(told(update))
    assert numbers.pop("agentkit.train.seconds.generation") > 0
    assert numbers == {
        "session.id": "job-1",
        "openinference.span.kind": "CHAIN",
        "agentkit.job.id": "job-1",
        "agentkit.train.update": 1,
        "agentkit.train.loss": 0.25,
        "agentkit.train.rewards/right_tool/mean": 0.5,
    }
    assert SECRET not in repr([told(it) for it in exporter.get_finished_spans()])


def test_stages_stand_inside_each_other_and_an_error_tells_its_kind_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    trace = JobTrace()
    variables: dict[str, str] = {}

    def sitting() -> None:
        with trace.recording("job-1", "refund", tmp_path), trace.stage("sampling"):
            with trace.stage("preflight"):
                variables.update(trace.environment)
            raise KeyError(SECRET)

    with pytest.raises(KeyError):
        sitting()
    spans = spans_in(tmp_path / "traces.jsonl")
    assert list(spans) == ["stage preflight", "stage sampling", "job refund"], "each as it ends"
    preflight, sampling, job = spans.values()
    assert preflight["parentSpanId"] == sampling["spanId"]
    assert sampling["parentSpanId"] == job["spanId"]
    assert "parentSpanId" not in job
    assert variables == {TRACEPARENT: f"00-{job['traceId']}-{preflight['spanId']}-03", JOB: "job-1"}
    assert job["status"] == sampling["status"] == {"code": 2}
    assert SECRET not in (tmp_path / "traces.jsonl").read_text()
    assert sorted(it.name for it in tmp_path.iterdir()) == ["traces.jsonl"], "neither logs nor metrics"
    assert trace.environment == {}


def test_switched_off_it_records_nothing_and_hands_nothing_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = JobTrace()
    for name, value in (("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with trace.recording("job-1", "refund", tmp_path), trace.stage("training"):
                assert trace.environment == {}
            trace.ended({})
    with trace.stage("outside of any sitting"):
        assert trace.environment == {}
    assert list(tmp_path.iterdir()) == []


def test_without_a_span_to_stand_below_the_training_program_loads_no_tracing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TRACEPARENT, raising=False)
    monkeypatch.setitem(sys.modules, "agentkit.tracing", None)  # an import fails
    with traced(tmp_path, "grpo") as span:
        assert span is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("header", ["00-xyz", "00-" + "0" * 32 + "-" + "b" * 16 + "-01"])
def test_a_header_that_is_none_begins_a_trace_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    monkeypatch.setenv(TRACEPARENT, header)
    with traced(tmp_path, "sft") as span:
        assert span is not None
    assert "parentSpanId" not in spans_in(tmp_path / "traces.jsonl")["phase sft"]


def test_a_caller_that_is_not_sampled_is_not_recorded_here_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRACEPARENT, "00-" + "a" * 32 + "-" + "b" * 16 + "-00")
    with traced(tmp_path, "sft") as span:
        assert span is not None
        progress = Progress(tmp_path / "progress.jsonl", span)
        progress.tell("step", step=1, loss=0.5)
    assert (tmp_path / "traces.jsonl").read_bytes() == b""
