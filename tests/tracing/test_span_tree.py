"""The tree of spans, their names, kinds and attributes; grades as events inside the right spans; metrics."""

from __future__ import annotations

import random

import pytest
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from agentkit.errors import ProviderError
from agentkit.records import Message, ModelCall, Status, StepGrade, ToolCall, Usage, Verdict
from agentkit.tracing import Tracing
from agentkit.tracing.content import CAPTURE_VARIABLE
from tests.tracing.traced import CONVERSATION, TOOL, Recording, attributes, tell


def test_one_trace_with_four_kinds_of_span_in_their_places(recording: Recording) -> None:
    trial = tell(recording.tracing)
    parents = {span.context.span_id: span.name for span in recording.spans if span.context}
    tree = [(span.name, parents[span.parent.span_id] if span.parent else None) for span in recording.spans]
    assert tree == [
        ("chat tiny", "invoke_agent demo"),
        ("execute_tool find_sale", "invoke_agent demo"),
        ("chat tiny", "invoke_agent demo"),
        ("invoke_agent demo", "invoke_workflow shop/refund"),
        ("chat tiny", "invoke_agent demo"),
        ("invoke_agent demo", "invoke_workflow shop/refund"),
        ("invoke_workflow shop/refund", None),
    ]
    assert {format_trace_id(span.context.trace_id) for span in recording.spans if span.context} == {trial.trace_id}


def test_kinds_for_opentelemetry_and_for_viewers(recording: Recording) -> None:
    tell(recording.tracing)
    kinds = {span.name.split()[0]: (span.kind, attributes(span)["openinference.span.kind"]) for span in recording.spans}
    assert kinds == {
        "invoke_workflow": (SpanKind.INTERNAL, "CHAIN"),
        "invoke_agent": (SpanKind.INTERNAL, "AGENT"),
        "chat": (SpanKind.CLIENT, "LLM"),
        "execute_tool": (SpanKind.INTERNAL, "TOOL"),
    }


def test_every_span_names_conversation_session_and_operation(recording: Recording) -> None:
    tell(recording.tracing)
    for span in recording.spans:
        found = attributes(span)
        assert found["gen_ai.conversation.id"] == found["session.id"] == CONVERSATION
        assert found["gen_ai.operation.name"] == span.name.split()[0]


def test_root_and_turn_say_which_trial_this_is(recording: Recording) -> None:
    tell(recording.tracing)
    root = attributes(recording.span("invoke_workflow shop/refund"))
    assert {key: value for key, value in root.items() if key.startswith("agentkit.")} == {
        "agentkit.scenario.id": "shop/refund",
        "agentkit.variant": "golden",
        "agentkit.trial.index": 7,
        "agentkit.run.id": "run-1",
        "agentkit.verdict": "failure",
    }
    turns = [attributes(span) for span in recording.spans if span.name == "invoke_agent demo"]
    assert [(turn["gen_ai.agent.name"], turn["agentkit.turn.index"]) for turn in turns] == [("demo", 0), ("demo", 1)]


def test_chat_carries_request_response_and_usage(recording: Recording) -> None:
    tell(recording.tracing)
    found = attributes(recording.spans[0])
    expected = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.seed": 3,
        "gen_ai.response.id": "r-1",
        "gen_ai.response.model": "tiny-0",
        "gen_ai.response.finish_reasons": ("tool_calls",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_read_input_tokens": 40,
    }
    assert {key: found[key] for key in expected} == expected
    assert isinstance(found["gen_ai.request.temperature"], float)


def test_a_provider_that_counts_no_tokens_is_not_one_that_used_none(recording: Recording) -> None:
    turn = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a").turn(
        index=0, agent="a"
    )
    chat = turn.chat(model="m", provider="p", request={}, messages=[])
    chat.finish(Message("assistant", "hi", call=ModelCall("m", Usage())))
    turn.finish()
    assert not [key for key in attributes(recording.span("chat m")) if "usage" in key]
    assert recording.points("gen_ai.client.token.usage") == []


def test_steps_are_named_on_the_spans_that_met_them(recording: Recording) -> None:
    tell(recording.tracing)
    named = [(span.name, attributes(span).get("agentkit.step.name")) for span in recording.spans]
    assert [pair for pair in named if pair[1] is not None] == [
        ("execute_tool find_sale", "find,read"),
        ("invoke_agent demo", "total"),
    ]


def test_calls_end_when_they_end_and_reach_the_exporter_when_their_turn_does(recording: Recording) -> None:
    turn = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a").turn(
        index=0, agent="a"
    )
    tool = turn.tool(ToolCall("1", "t", {}))
    tool.finish("done")
    assert not recording.spans_out.get_finished_spans()
    tool.step("late")
    turn.finish()
    inner, outer = recording.spans_out.get_finished_spans()
    assert attributes(inner)["agentkit.step.name"] == "late"
    times = (outer.start_time, inner.start_time, inner.end_time, outer.end_time)
    assert sorted(time for time in times if time) == list(times)


def test_grades_are_events_of_the_spans_they_are_about(recording: Recording) -> None:
    trial = tell(recording.tracing)
    tool, root = recording.span("execute_tool find_sale"), recording.span("invoke_workflow shop/refund")
    first_turn = next(span for span in recording.spans if span.name == "invoke_agent demo")
    records = [log.log_record for log in recording.logs]
    assert {record.event_name for record in records} == {"gen_ai.evaluation.result"}
    assert [record.span_id for record in records] == [
        span.context.span_id for span in (tool, first_turn, root) if span.context
    ]
    assert {format_trace_id(record.trace_id or 0) for record in records} == {trial.trace_id}
    seen = [dict(record.attributes or {}) for record in records]
    shared = {"gen_ai.conversation.id": CONVERSATION, "session.id": CONVERSATION}
    assert seen == [
        {
            "gen_ai.evaluation.name": "find",
            "gen_ai.evaluation.score.label": "passed",
            "gen_ai.evaluation.score.value": 1.0,
            "gen_ai.evaluation.explanation": "S-1 as asked",
            "agentkit.check": "call.arguments",
            "agentkit.skill": "lookup",
            "agentkit.turn.index": 0,
            **shared,
        },
        {
            "gen_ai.evaluation.name": "total",
            "gen_ai.evaluation.score.label": "failed",
            "gen_ai.evaluation.score.value": 0.0,
            "gen_ai.evaluation.explanation": "no total",
            "agentkit.check": "reply.mentions",
            "agentkit.fault": "agent",
            "agentkit.turn.index": 0,
            **shared,
        },
        {
            "gen_ai.evaluation.name": "refunded",
            "gen_ai.evaluation.score.label": "ungraded",
            "gen_ai.evaluation.explanation": "the judge was silent",
            "agentkit.check": "state",
            **shared,
        },
    ]


def test_a_failed_request_is_an_error_without_its_secrets(recording: Recording) -> None:
    turn = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a").turn(
        index=0, agent="a"
    )
    chat = turn.chat(model="m", provider="p", request={}, messages=[])
    chat.fail(ProviderError("server", "503 for Authorization: Bearer abcdefgh12345678"))
    turn.finish()
    span = recording.span("chat m")
    assert attributes(span)["error.type"] == "agentkit.errors.ProviderError"
    assert span.status.status_code is StatusCode.ERROR
    assert "503" in str(span.status.description)
    assert "abcdefgh12345678" not in str(span.status.description)
    (point,) = recording.points("gen_ai.client.operation.duration")
    assert dict(point.attributes or {})["error.type"] == "agentkit.errors.ProviderError"


def test_a_tool_that_raised_is_an_error_of_its_own_span_only(recording: Recording) -> None:
    turn = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a").turn(
        index=0, agent="a"
    )
    turn.tool(ToolCall("1", "t", {})).finish("no such sale", "KeyError")
    turn.finish()
    tool, outer = recording.spans
    assert (tool.status.status_code, attributes(tool)["error.type"]) == (StatusCode.ERROR, "KeyError")
    assert (outer.status.status_code, "error.type" in attributes(outer)) == (StatusCode.UNSET, False)


def test_what_is_still_open_ends_with_its_trial(recording: Recording) -> None:
    trial = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a")
    turn = trial.turn(index=0, agent="a")
    turn.chat(model="m", provider="p", request={}, messages=[])
    turn.tool(ToolCall("1", "t", {}))
    trial.finish(Verdict.INVALID, error=TimeoutError())
    assert [(span.name, attributes(span).get("error.type")) for span in recording.spans] == [
        ("chat m", "TimeoutError"),
        ("execute_tool t", "TimeoutError"),
        ("invoke_agent a", "TimeoutError"),
        ("invoke_workflow s", "TimeoutError"),
    ]


def test_finishing_twice_exports_once(recording: Recording) -> None:
    trial = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a")
    turn = trial.turn(index=0, agent="a")
    tool = turn.tool(ToolCall("1", "t", {}))
    for _ in range(2):
        tool.finish("done")
        turn.finish()
        trial.finish(Verdict.SUCCESS)
    assert len(recording.spans) == 3
    assert [point.count for point in recording.points("gen_ai.execute_tool.duration")] == [1]


def test_durations_and_tokens_are_histograms_with_the_buckets_of_the_conventions(recording: Recording) -> None:
    tell(recording.tracing)
    (chats,) = recording.points("gen_ai.client.operation.duration")
    assert chats.count == 3
    assert (chats.explicit_bounds[0], chats.explicit_bounds[-1]) == (0.01, 81.92)
    assert dict(chats.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "gen_ai.response.model": "tiny-0",
    }
    tokens = {dict(p.attributes or {})["gen_ai.token.type"]: p for p in recording.points("gen_ai.client.token.usage")}
    assert {kind: (point.count, point.sum) for kind, point in tokens.items()} == {
        "input": (3, 380),
        "output": (3, 32),
    }
    assert tuple(tokens["input"].explicit_bounds) == tuple(4**power for power in range(14))
    (tools,) = recording.points("gen_ai.execute_tool.duration")
    assert dict(tools.attributes or {}) == {
        "gen_ai.tool.name": "find_sale",
        "gen_ai.tool.type": "function",
        "gen_ai.agent.name": "demo",
    }


def test_traceparent_leads_to_the_span_that_makes_the_request(recording: Recording) -> None:
    trial = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a")
    chat = trial.turn(index=0, agent="a").chat(model="m", provider="p", request={}, messages=[])
    assert chat.traceparent is not None
    version, trace, span, flags = chat.traceparent.split("-")
    assert (version, trace, span) == ("00", trial.trace_id, chat.span_id)
    assert int(flags, 16) & 1


def test_a_tool_that_seeds_python_does_not_make_two_traces_one(recording: Recording) -> None:
    traces = set()
    for _ in range(2):
        random.seed(0)
        traces.add(
            recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a").trace_id
        )
    assert len(traces) == 2


def test_a_sampler_that_drops_a_trace_drops_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    recording = Recording()
    trial = tell(recording.tracing)
    assert (recording.spans, recording.logs) == ((), ())
    assert trial.traceparent is not None
    assert int(trial.traceparent[-2:], 16) & 1 == 0
    recording.tracing.close()


def test_a_sampler_thins_no_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv(CAPTURE_VARIABLE, "SPAN_AND_EVENT")
    recording = Recording()
    tell(recording.tracing)
    trial = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="demo")
    trial.user_chat(user="ann", turn=0, model="small", provider="p", request={}, messages=[])
    trial.turn(index=0, agent="demo").tool(ToolCall("1", "find_sale", {}))
    trial.finish(Verdict.INVALID, error="TimeoutError")

    def counts(metric: str, by: str) -> dict[object, int]:
        return {(it.attributes or {}).get(by): it.count for it in recording.points(metric)}

    tokens = {it.sum for it in recording.points("gen_ai.client.token.usage")}
    assert tokens == {100 + 130 + 150, 20 + 9 + 3}
    assert counts("gen_ai.client.operation.duration", "gen_ai.request.model") == {"tiny": 3, "small": 1}
    tools = counts("gen_ai.execute_tool.duration", "error.type")
    assert tools == {None: 1, "TimeoutError": 1}, "what was still open ended with its trial"
    assert (recording.spans, recording.logs) == ((), ())
    recording.tracing.close()


def test_off_records_nothing_and_has_no_ids() -> None:
    tracing = Tracing.off()
    trial = tell(tracing)
    turn = trial.turn(index=0, agent="a")
    spans = (trial, turn, turn.tool(ToolCall("1", "t", {})))
    assert {(s.trace_id, s.span_id, s.traceparent, s.recording) for s in spans} == {(None, None, None, False)}
    turn.grade(StepGrade("s", Status.PASSED, "state", "", span_id=format_span_id(1)))
    tracing.close()


def test_the_sdk_can_be_disabled_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    recording = Recording()
    assert tell(recording.tracing).trace_id is None
    assert (recording.spans, recording.logs) == ((), ())


def test_resource_names_service_and_run(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(recording.tracing)
    found = dict(recording.spans[0].resource.attributes)
    assert (found["service.name"], found["agentkit.run.id"]) == ("agentkit", "run-1")
    assert found["service.version"]
    monkeypatch.setenv("OTEL_SERVICE_NAME", "till-tests")
    renamed = Recording()
    tell(renamed.tracing)
    assert renamed.spans[0].resource.attributes["service.name"] == "till-tests"
    renamed.tracing.close()


def test_tool_definitions_stay_out_where_there_are_no_tools(recording: Recording) -> None:
    tell(recording.tracing)
    chats = [attributes(span) for span in recording.spans if span.name == "chat tiny"]
    assert [("gen_ai.tool.definitions" in chat) for chat in chats] == [True, True, False]
    assert TOOL.name in chats[0]["gen_ai.tool.definitions"]
