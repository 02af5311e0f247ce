"""One trace from the caller through the router to the upstream, and its ids in what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from agentkit.tracing import Caller, Pipeline, Tracing
from tests.serve.router.instant import Way
from tests.serve.router.world import World, world

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FROM = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def spans(exporter: InMemorySpanExporter, it: World, count: int) -> list[ReadableSpan]:
    it.until(lambda: len(exporter.get_finished_spans()) >= count)
    return list(exporter.get_finished_spans())


def test_one_trace(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing.open(run_id="serve", folder=tmp_path, capture=False, pipeline=Pipeline(spans=exporter))
    with world(parts={"tracing": tracing}) as it:
        it.chat(headers=FROM, metadata={"conversation_id": "talk-1"})
        kept = it.exchange()
        (span,) = spans(exporter, it, 1)
        assert span.name == "chat pos/refund"
        assert span.kind is SpanKind.SERVER
        assert span.context is not None
        assert span.parent is not None
        assert f"{span.context.trace_id:032x}" == TRACE == kept.trace_id
        assert f"{span.parent.span_id:016x}" == SPAN
        assert f"{span.context.span_id:016x}" == kept.span_id
        sent = it.upstream.seen[0][1]["traceparent"]
        assert sent.startswith(f"00-{TRACE}-{kept.span_id}-"), "what the upstream records lies below our span"
        assert span.attributes is not None
        assert {
            "gen_ai.operation.name": "chat",
            "gen_ai.conversation.id": "talk-1",
            "session.id": "talk-1",
            "openinference.span.kind": "LLM",
            "gen_ai.agent.name": "pos",
            "agentkit.step.name": "refund",
            "gen_ai.request.model": "pos/refund",
            "gen_ai.response.model": "base",
            "gen_ai.response.id": kept.id,
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 3,
            "http.response.status_code": 200,
            "agentkit.route.revision": 7,
            "agentkit.route.arm": "live",
            "agentkit.route.target": "base",
            "agentkit.replica": "replica-0",
            "agentkit.attempts": 1,
        }.items() <= span.attributes.items()
        assert "Hello" not in str(span.attributes), "words are not redacted yet"

        it.upstream.ways = lambda _: Way(status=500)
        it.chat()
        failed = spans(exporter, it, 2)[1]
        assert failed.parent is None
        assert failed.status.status_code is StatusCode.ERROR
        assert failed.attributes is not None
        assert failed.attributes["error.type"] == "502"

        it.chat(headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
        assert it.exchanges(3)[2].trace_id == TRACE
        assert len(exporter.get_finished_spans()) == 2, "the caller does not sample it"


def test_without_tracing_the_callers_trace_goes_on(one: World) -> None:
    one.chat(headers=FROM)
    kept = one.exchange()
    assert (kept.trace_id, kept.span_id) == (TRACE, None)
    assert one.upstream.seen[0][1]["traceparent"] == FROM["traceparent"]
    one.chat()
    assert one.exchanges(2)[1].trace_id is None


@pytest.mark.parametrize(
    "traceparent",
    [
        *(None, "", "x", f"00-{TRACE}-{SPAN}", f"00-{TRACE.upper()}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01"),
        *(f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01\n", f" 00-{TRACE}-{SPAN}-01"),
    ],
)
def test_what_is_no_traceparent(traceparent: str | None) -> None:
    assert Caller.of(traceparent) is None
