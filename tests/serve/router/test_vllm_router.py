"""The real thing: OpenAI's client and LangChain's, through `agentkit serve`'s parts, to a real vLLM and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openai
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from agentkit.records import Target
from agentkit.serve import Endpoint
from agentkit.serve.upstream import Upstream
from agentkit.tracing import Tracing
from tests.serve.collector import Collector
from tests.serve.router.kept import Real, real_world
from tests.serve.router.world import BASE

pytestmark = pytest.mark.serve
HELLO: Any = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "What is the capital of France?"},
]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@tool
def look_up(sale_id: str) -> str:
    """Find a sale by its number."""
    return sale_id


@pytest.fixture(scope="module")
def through(embedded: Endpoint, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        tracing = Tracing.of_server()
    with real_world(folder, tracing=tracing) as it:
        upstream = Upstream("engine-0", embedded.base_url, embedded.model, api_key=embedded.api_key)
        serving: dict[Target, list[Upstream]] = {BASE: [replace(upstream)]}
        it.it.upstreams.of = serving
        yield it
    tracing.close()


def client(through: Real) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{through.it.url}/v1", api_key=through.keys["alice"], max_retries=0, timeout=120)


def test_openai(through: Real) -> None:
    with client(through) as it:
        whole = it.chat.completions.create(model="pos/refund", messages=HELLO, temperature=0, max_tokens=40)
        assert "Paris" in (whole.choices[0].message.content or "")
        stream = it.chat.completions.create(
            model="pos/refund", messages=HELLO, temperature=0, max_tokens=40, stream=True
        )
        with stream:
            pieces = list(stream)
    said = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert said == whole.choices[0].message.content
    assert not any(piece.usage for piece in pieces)
    kept = through.kept(pieces[0].id)
    assert kept.response is not None
    assert kept.response["content"] == said, "joined from its pieces"
    assert kept.usage == through.kept(whole.id).usage
    assert kept.usage.output_tokens > 0
    assert kept.first_token is not None


def test_openai_is_held_to_a_schema(through: Real) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": {**schema, "additionalProperties": False}},
    }
    with client(through) as it:
        found = it.chat.completions.create(
            model="pos/refund", messages=HELLO, temperature=0, max_tokens=60, response_format=form
        )
    assert (found.choices[0].message.content or "").startswith('{"city":')


def test_langchain_with_tools(through: Real) -> None:
    model = ChatOpenAI(
        model="pos/refund",
        base_url=f"{through.it.url}/v1",
        api_key=through.keys["alice"],  # type: ignore[arg-type]
        max_retries=0,
        temperature=0,
        max_completion_tokens=60,
    )
    assert "Paris" in str(model.invoke(HELLO).content)
    forced = model.bind_tools([look_up], tool_choice="look_up")
    (call,) = forced.invoke("Look up sale S-48213.").tool_calls
    assert call["name"] == "look_up"
    whole: Any = None
    for piece in forced.stream("Look up sale S-48213."):
        whole = piece if whole is None else whole + piece
    assert [(it["name"], it["args"]) for it in whole.tool_calls] == [(call["name"], call["args"])]


def test_one_trace_from_the_caller_to_vllm_and_the_store(through: Real, collector: Collector) -> None:
    with client(through) as it:
        answer = it.chat.completions.create(
            model="pos/refund",
            messages=HELLO,
            max_tokens=5,
            extra_headers={"traceparent": f"00-{TRACE}-{SPAN}-01"},
        )
    kept = through.kept(answer.id)
    assert kept.trace_id == TRACE
    ours = collector.wait_for(bytes.fromhex(TRACE), "chat pos/refund")
    theirs = collector.wait_for(bytes.fromhex(TRACE), "llm_request")
    assert ours.parent_span_id.hex() == SPAN
    assert ours.span_id.hex() == kept.span_id
    assert theirs.parent_span_id == ours.span_id
