"""A real viewer takes a whole conversation over OTLP and shows it as agent, model and tool spans in one session."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentkit.tracing import Tracing
from tests.tracing import phoenix_server
from tests.tracing.traced import CONVERSATION, tell

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with phoenix_server.running(tmp_path_factory.mktemp("phoenix")) as url:
        yield url


def read(url: str, expected: int) -> list[dict[str, Any]]:
    """What Phoenix gives back, asked until its background writer has stored as much as was sent."""
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + 60
    while len(found) < expected and time.monotonic() < deadline:
        answer = httpx.get(url, params={"limit": 100})
        found = answer.json()["data"] if answer.is_success else []
        time.sleep(0.2)
    return found


def test_a_conversation_is_one_session_of_agent_model_and_tool_spans(
    phoenix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", phoenix)
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    tracing = Tracing.open(run_id="run-1", folder=tmp_path)
    trial = tell(tracing)
    tracing.close()
    assert caplog.records == []

    spans = sorted(read(f"{phoenix}/v1/projects/default/spans", 7), key=lambda span: str(span["start_time"]))
    assert {span["context"]["trace_id"] for span in spans} == {trial.trace_id}
    names = {span["context"]["span_id"]: span["name"] for span in spans}
    assert [(span["span_kind"], span["name"], names.get(span["parent_id"])) for span in spans] == [
        ("CHAIN", "invoke_workflow shop/refund", None),
        ("AGENT", "invoke_agent demo", "invoke_workflow shop/refund"),
        ("LLM", "chat tiny", "invoke_agent demo"),
        ("TOOL", "execute_tool find_sale", "invoke_agent demo"),
        ("LLM", "chat tiny", "invoke_agent demo"),
        ("AGENT", "invoke_agent demo", "invoke_workflow shop/refund"),
        ("LLM", "chat tiny", "invoke_agent demo"),
    ]
    (session,) = read(f"{phoenix}/v1/projects/default/sessions", 1)
    assert session["session_id"] == CONVERSATION

    # What Phoenix itself made of our attributes: messages, tools, tokens, previews.
    root, turn, chat, tool = (span["attributes"] for span in spans[:4])
    assert (root["input.value"], root["output.value"]) == ("Where is sale S-1?", "Bye.")
    assert (turn["input.value"], turn["output.value"]) == ("Where is sale S-1?", "It cost 12.50.")
    assert chat["llm.input_messages.0.message.content"] == "You work at a till."
    assert chat["llm.input_messages.1.message.content"] == "Where is sale S-1?"
    called = "llm.output_messages.0.message.tool_calls.0.tool_call.function.name"
    assert (chat[called], chat["llm.token_count.total"]) == ("find_sale", 120)
    assert "find_sale" in chat["llm.tools.0.tool.json_schema"]
    assert (tool["tool.name"], tool["output.value"]) == ("find_sale", '{"total": 12.5}')
    assert tool["agentkit.step.name"] == "find,read"
