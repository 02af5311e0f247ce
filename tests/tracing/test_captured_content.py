"""What conversations look like in a trace, and who decides whether they are there."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs

from agentkit.errors import ConfigError, ProviderError
from agentkit.records import Message, ToolCall, Verdict
from agentkit.tracing.content import CAPTURE_VARIABLE, LONGEST_NAME, LONGEST_TEXT, to_json
from agentkit.tracing.otlp_json import logs_line
from tests.tracing.traced import CONVERSATION, Recording, attributes, loaded, tell

WORDS = ("Where is sale S-1?", "It cost 12.50.", "I must look.", "You work at a till.", "12.5", "as asked")


def recorded(monkeypatch: pytest.MonkeyPatch, mode: str) -> Recording:
    monkeypatch.setenv(CAPTURE_VARIABLE, mode)
    recording = Recording()
    tell(recording.tracing)
    recording.tracing.close()
    return recording


def on_spans(recording: Recording) -> str:
    return json.dumps([dict(attributes(span)) for span in recording.spans])


def test_messages_are_json_strings_of_parts(recording: Recording) -> None:
    tell(recording.tracing)
    first, second, _ = [span for span in recording.spans if span.name == "chat tiny"]
    assert loaded(first, "gen_ai.system_instructions") == [{"type": "text", "content": "You work at a till."}]
    asked = {"role": "user", "parts": [{"type": "text", "content": "Where is sale S-1?"}]}
    wants: dict[str, Any] = {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "I must look."},
            {"type": "tool_call", "id": "call-1", "name": "find_sale", "arguments": {"sale": "S-1"}},
        ],
    }
    response = {"type": "tool_call_response", "id": "call-1", "response": '{"total": 12.5}'}
    assert loaded(first, "gen_ai.input.messages") == [asked]
    assert loaded(first, "gen_ai.output.messages") == [{**wants, "finish_reason": "tool_call"}]
    assert loaded(second, "gen_ai.input.messages") == [asked, wants, {"role": "tool", "parts": [response]}]
    assert loaded(second, "gen_ai.output.messages")[0]["finish_reason"] == "stop"
    (definition,) = loaded(first, "gen_ai.tool.definitions")
    assert (definition["type"], definition["name"]) == ("function", "find_sale")
    assert definition["parameters"]["properties"] == {"sale": {"type": "string"}}


def test_a_tool_span_has_arguments_and_result(recording: Recording) -> None:
    tell(recording.tracing)
    span = recording.span("execute_tool find_sale")
    assert loaded(span, "gen_ai.tool.call.arguments") == {"sale": "S-1"}
    assert loaded(span, "gen_ai.tool.call.result") == {"total": 12.5}
    assert attributes(span)["gen_ai.tool.call.id"] == "call-1"


def test_root_and_turns_have_previews_and_their_own_messages(recording: Recording) -> None:
    tell(recording.tracing)
    root = recording.span("invoke_workflow shop/refund")
    assert len(loaded(root, "gen_ai.input.messages")) == 5
    assert loaded(root, "gen_ai.output.messages")[0]["parts"] == [{"type": "text", "content": "Bye."}]
    turns = [span for span in recording.spans if span.name == "invoke_agent demo"]
    previews = [(attributes(s)["input.value"], attributes(s)["output.value"]) for s in (root, *turns)]
    assert previews == [
        ("Where is sale S-1?", "Bye."),
        ("Where is sale S-1?", "It cost 12.50."),
        ("Thanks, bye", "Bye."),
    ]


def test_by_default_content_is_on_spans_and_in_no_event(recording: Recording) -> None:
    tell(recording.tracing)
    assert "Where is sale S-1?" in on_spans(recording)
    assert {log.log_record.event_name for log in recording.logs} == {"gen_ai.evaluation.result"}


def test_no_content_leaves_no_word_of_the_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = recorded(monkeypatch, "NO_CONTENT")
    everything = on_spans(recording) + "".join(log.to_json() for log in recording.logs)
    assert [word for word in WORDS if word in everything] == []
    assert len(recording.spans) == 7
    assert len(recording.logs) == 3


@pytest.mark.parametrize(("mode", "told"), [("NO_CONTENT", False), ("SPAN_ONLY", True)])
def test_the_words_of_an_error_are_content(monkeypatch: pytest.MonkeyPatch, mode: str, told: bool) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, mode)
    recording = Recording()
    trial = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a")
    turn = trial.turn(index=0, agent="a")
    error = ProviderError("server", "the body is not JSON: it begins 'It cost 12.50.'")
    turn.chat(model="m", provider="p", request={}, messages=[]).fail(error)
    turn.tool(ToolCall("1", "t", {})).fail(error)
    turn.finish(error=error)
    trial.finish(Verdict.INVALID, error=error)
    recording.tracing.close()
    assert [WORDS[1] in (span.status.description or "") for span in recording.spans] == [told] * 4
    assert {attributes(span)["error.type"] for span in recording.spans} == {"agentkit.errors.ProviderError"}


@pytest.mark.parametrize("mode", ["EVENT_ONLY", "SPAN_AND_EVENT", "span_and_event"])
def test_event_modes_tell_each_request_in_structured_form(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    recording = recorded(monkeypatch, mode)
    assert ("Where is sale S-1?" in on_spans(recording)) == (mode.upper() == "SPAN_AND_EVENT")
    details = [
        log.log_record
        for log in recording.logs
        if log.log_record.event_name == "gen_ai.client.inference.operation.details"
    ]
    chats = [span for span in recording.spans if span.name == "chat tiny"]
    assert [record.span_id for record in details] == [span.context.span_id for span in chats if span.context]
    first: Any = details[0].attributes
    assert first["gen_ai.operation.name"] == "chat"
    assert first["gen_ai.conversation.id"] == CONVERSATION
    assert first["gen_ai.usage.output_tokens"] == 20
    (message,) = first["gen_ai.input.messages"]
    assert message["parts"][0]["content"] == "Where is sale S-1?"
    (answer,) = first["gen_ai.output.messages"]
    assert answer["finish_reason"] == "tool_call"
    assert answer["parts"][1]["arguments"] == {"sale": "S-1"}
    assert first["gen_ai.system_instructions"][0]["content"] == "You work at a till."
    assert first["gen_ai.tool.definitions"][0]["name"] == "find_sale"


@pytest.mark.parametrize(("variable", "capture"), [("NO_CONTENT", True), ("SPAN_AND_EVENT", False)])
def test_the_caller_has_the_last_word(monkeypatch: pytest.MonkeyPatch, variable: str, capture: bool) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, variable)
    recording = Recording(capture)
    tell(recording.tracing)
    assert ("Where is sale S-1?" in on_spans(recording)) == capture
    assert {log.log_record.event_name for log in recording.logs} == {"gen_ai.evaluation.result"}
    recording.tracing.close()


def test_a_word_that_is_none_of_the_four_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, "SPANS_ONLY")
    with pytest.raises(ConfigError, match=r"SPANS_ONLY.*NO_CONTENT.*did you mean 'SPAN_ONLY'"):
        Recording()


@pytest.mark.parametrize(
    ("hostile", "expected"),
    [
        ({"a": "\ud800"}, {"a": "?"}),
        ({"a": 10**30}, {"a": 10**30}),
        ({"a": math.nan}, {"a": None}),
        ({1: object}, {"1": "<class 'object'>"}),
        ({"a": {"\udfff": (1, {2})}}, {"a": {"?": [1, [2]]}}),
    ],
)
def test_json_is_made_of_anything(hostile: Any, expected: Any) -> None:
    assert json.loads(to_json(hostile)) == expected


def test_json_of_what_has_no_bottom() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert json.loads(to_json(endless)) == "<list that JSON cannot hold>"


def test_hostile_arguments_reach_an_event_as_plain_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, "EVENT_ONLY")
    recording = Recording()
    turn = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a").turn(
        index=0, agent="a"
    )
    call = ToolCall("1", "t", {"\ud800": 10**30, "nested": [{"x": math.inf}]})
    turn.chat(model="m", provider="p", request={}, messages=[]).finish(Message("assistant", "", tool_calls=(call,)))
    (details,) = recording.logs
    found: Any = details.log_record.attributes
    (part,) = found["gen_ai.output.messages"][0]["parts"]
    assert part["arguments"] == {"?": 1e30, "nested": ({"x": None},)}
    encode_logs(recording.logs).SerializeToString()
    logs_line(recording.logs)
    recording.tracing.close()


def test_hostile_words_of_a_model_spoil_nothing(recording: Recording) -> None:
    trial = recording.tracing.trial(conversation_id="c", scenario="s", variant="golden", index=0, agent="a")
    turn = trial.turn(index=0, agent="a")
    chat = turn.chat(model="m", provider="p", request={"seed": "7; drop"}, messages=[])
    call = ToolCall("id\ud800", "\ud800" + "t" * 5_000, None, raw="{'not': json" + "x" * 100_000)
    chat.finish(Message("assistant", "\udfff" + "y" * 100_000, tool_calls=(call,)))
    turn.tool(call).finish("\ud800")
    turn.finish()
    trial.finish(Verdict.FAILURE)
    said, tool, *_ = recording.spans
    (message,) = loaded(said, "gen_ai.output.messages")
    assert len(message["parts"][0]["content"]) < LONGEST_TEXT + 100
    assert len(tool.name) < LONGEST_NAME + 100
    assert attributes(tool)["gen_ai.tool.call.result"] == "?"
    assert "gen_ai.request.seed" not in attributes(said)
    for span in recording.spans:
        json.dumps(dict(attributes(span))).encode()
        span.name.encode()
