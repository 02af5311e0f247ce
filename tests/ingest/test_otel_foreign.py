"""Traces that other instrumentations wrote; those in `data/` by the real libraries (see `record_foreign.py`)."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from agentkit.ingest.otel import read_otel
from agentkit.records import Party, Stop, Trial, Verdict
from tests.ingest.trace_files import DATA, FOREIGN, WORDS, chat, request, span, words


def only_trial(file: Path) -> Trial:
    (imported,) = read_otel(file)
    assert not imported.problems
    (trial,) = imported.trials
    return trial


@pytest.mark.parametrize("name", FOREIGN)
def test_what_real_libraries_wrote(name: str) -> None:
    trial = only_trial(DATA / name)
    assert words(trial.messages) == WORDS
    (call,) = trial.messages[2].tool_calls
    assert (call.id, call.name, call.arguments) == ("call_1", "look_up_order", {"order_id": "A-1"})
    answer = trial.messages[3]
    assert (answer.tool_call_id, answer.name, answer.error) == ("call_1", "look_up_order", None)
    assert (answer.span_id is not None) == name.endswith("-langchain.jsonl")  # the bare client runs no tool itself
    made = [message.call for message in trial.messages if message.call is not None]
    assert [(call.model, call.usage.input_tokens, call.usage.output_tokens) for call in made] == [
        ("tiny-1", 42, 7),
        ("tiny-1", 44, 7),
        ("tiny-1", 46, 7),
    ]
    assert trial.model_calls == 3
    assert trial.key.scenario == "otel/support-bot"


def test_what_nobody_graded_counts_neither_way() -> None:
    trial = only_trial(DATA / FOREIGN[0])
    assert (trial.verdict, trial.fault, trial.stop) == (Verdict.INVALID, Party.HARNESS, Stop.COMPLETED)
    assert trial.reason.startswith("never graded")
    assert trial.steps == trial.outcome == ()


@pytest.mark.parametrize("name", FOREIGN)
def test_ids_in_base64_and_one_document_over_many_lines(name: str, tmp_path: Path) -> None:
    requests = [json.loads(line) for line in (DATA / name).read_text().splitlines()]
    document = {"resourceSpans": [resource for found in requests for resource in found["resourceSpans"]]}
    target = tmp_path / "traces.json"
    target.write_text(json.dumps(_base64(document), indent=2))
    assert words(only_trial(target).messages) == WORDS


def _base64(value: Any) -> Any:
    if isinstance(value, list):
        return [_base64(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        key: b64encode(bytes.fromhex(held)).decode() if key in ids else _base64(held) for key, held in value.items()
    }


A, B, C = "a" * 32, "b" * 32, "c" * 32
HELLO = [("user", "hello")]


def test_traces_without_a_session_are_joined_where_one_goes_on_from_another(tmp_path: Path) -> None:
    more = [*HELLO, ("assistant", "hi"), ("user", "how are you?")]
    (tmp_path / "t").write_bytes(
        request(
            chat(A, "a" * 16, HELLO, "hi"),
            chat(B, "b" * 16, more, "fine"),
            chat(C, "c" * 16, [("user", "another")], "yes"),
        )
    )
    (imported,) = read_otel(tmp_path / "t")
    assert [[message.content for message in trial.messages] for trial in imported.trials] == [
        ["hello", "hi", "how are you?", "fine"],
        ["another", "yes"],
    ]


def test_sessions_whose_client_sends_only_the_last_words(tmp_path: Path) -> None:
    lines = [
        chat(A, "a" * 16, HELLO, "hi", session__id="s"),
        chat(B, "b" * 16, [("user", "bye")], "bye", session__id="s"),
    ]
    (tmp_path / "t").write_bytes(request(*lines))
    trial = only_trial(tmp_path / "t")
    assert [(message.turn, message.content) for message in trial.messages] == [
        (0, "hello"),
        (0, "hi"),
        (1, "bye"),
        (1, "bye"),
    ]
    assert trial.conversation_id == "s"


def test_a_helpers_request_is_not_of_the_conversation(tmp_path: Path) -> None:
    aside = chat(A, "b" * 16, [("user", "Which language is this?")], "English", start=2)
    again = [*HELLO, ("assistant", "hi"), ("user", "and now?")]
    (tmp_path / "t").write_bytes(request(chat(A, "a" * 16, HELLO, "hi"), aside, chat(A, "c" * 16, again, "now this")))
    trial = only_trial(tmp_path / "t")
    assert [message.content for message in trial.messages] == ["hello", "hi", "and now?", "now this"]
    assert "1 requests inside its traces are not of this conversation" in trial.reason


@pytest.mark.parametrize("session", [{}, {"session__id": "s"}], ids=["no session", "a session"])
@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_guard_in_every_trace_keeps_none_from_its_conversation(
    tmp_path: Path, place: str, session: dict[str, str]
) -> None:
    def turn(trace: str, start: int, asked: list[tuple[str, str]], answer: str) -> bytes:
        checked = asked[-1][1] if place == "before" else answer
        guard = chat(
            trace,
            "9" * 16,
            [("user", f"Is this harmless: {checked}")],
            "yes",
            start=start if place == "before" else start + 2,
            **session,
        )
        return request(guard, chat(trace, trace[:16], asked, answer, start=start + 1, **session))

    more = [*HELLO, ("assistant", "hi"), ("user", "how are you?")]
    (tmp_path / "t").write_bytes(turn(A, 10, HELLO, "hi") + turn(B, 20, more, "fine"))
    trial = only_trial(tmp_path / "t")
    assert [message.content for message in trial.messages] == ["hello", "hi", "how are you?", "fine"]
    assert "2 requests inside its traces are not of this conversation" in trial.reason


def test_a_request_that_two_instrumentations_saw_is_one(tmp_path: Path) -> None:
    outer, inner = chat(A, "a" * 16, HELLO, "hi"), chat(A, "b" * 16, HELLO, "hi", parent="a" * 16)
    (tmp_path / "t").write_bytes(request(inner, outer))
    assert only_trial(tmp_path / "t").model_calls == 1


def test_a_failed_request_and_the_one_after_it(tmp_path: Path) -> None:
    failed = {**chat(A, "a" * 16, HELLO, ""), "status": {"code": 2}}
    (tmp_path / "t").write_bytes(request(failed, chat(A, "b" * 16, HELLO, "hi")))
    assert [message.content for message in only_trial(tmp_path / "t").messages] == ["hello", "hi"]


def test_a_tool_that_failed(tmp_path: Path) -> None:
    call = {"type": "tool_call", "id": "1", "name": "find", "arguments": "{broken"}
    response = {"type": "tool_call_response", "id": "1", "response": "no such thing"}
    asked = [
        {"role": "user", "parts": [{"type": "text", "content": "find it"}]},
        {"role": "assistant", "parts": [call]},
        {"role": "tool", "parts": [response]},
    ]
    second = span(A, "b" * 16, start=3, gen_ai__operation__name="chat", gen_ai__input__messages=json.dumps(asked))
    tool = span(A, "c" * 16, start=2, gen_ai__operation__name="execute_tool", gen_ai__tool__name="find")
    (tmp_path / "t").write_bytes(request({**tool, "status": {"code": "STATUS_CODE_ERROR"}}, second))
    messages = only_trial(tmp_path / "t").messages
    (made,) = messages[1].tool_calls
    assert (made.arguments, made.raw) == (None, "{broken")
    assert (messages[2].name, messages[2].error, messages[2].span_id) == ("find", "error", "c" * 16)


def test_each_service_is_a_run_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(
        request(chat(A, "a" * 16, HELLO, "hi"), service="one") + request(chat(B, "b" * 16, HELLO, "ho"), service="two")
    )
    assert [imported.run.agent for imported in read_otel(tmp_path / "t")] == ["one", "two"]
    (two,) = read_otel(tmp_path / "t", services=("two",))
    assert two.trials[0].messages[-1].content == "ho"


def test_a_trace_through_several_services_is_of_the_one_that_asks_the_model(tmp_path: Path) -> None:
    """Each service sends its spans when it likes, so that now one's and now the other's stand first."""

    def visit(trace: str, start: int) -> bytes:
        return request(span(trace, "9" * 16, start=start, session__id="s"), service="web")

    more = [*HELLO, ("assistant", "hi"), ("user", "how are you?")]
    first = request(chat(A, "a" * 16, HELLO, "hi", parent="9" * 16, start=2), service="agent")
    second = request(chat(B, "b" * 16, more, "fine", parent="9" * 16, start=11), service="agent")
    (tmp_path / "t").write_bytes(visit(A, 1) + first + second + visit(B, 10))
    trial = only_trial(tmp_path / "t")
    assert trial.key.scenario == "otel/agent"
    assert [message.content for message in trial.messages] == ["hello", "hi", "how are you?", "fine"]
