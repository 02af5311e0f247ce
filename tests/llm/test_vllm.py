"""The client against a real vLLM server: one chat, one guided answer, one tool call."""

import json
from dataclasses import replace

import pytest

from agentkit.llm import ChatRequest
from agentkit.llm.openai import OpenAIChat
from agentkit.records import Message, ToolSpec

pytestmark = pytest.mark.serve

ASK = ChatRequest(
    [Message("system", "You are a helpful till.", -1), Message("user", "Please look up sale 4711.")],
    temperature=0.0,
    max_tokens=48,
    seed=1,
)
SALE = {
    "type": "object",
    "properties": {"sale": {"type": "string", "pattern": "^[0-9]{4}$"}},
    "required": ["sale"],
    "additionalProperties": False,
}


@pytest.fixture
async def chat(embedded, monkeypatch):
    monkeypatch.setenv("EMBEDDED_API_KEY", embedded.api_key or "none")
    model = OpenAIChat(embedded.base_url, embedded.model, api_key_env="EMBEDDED_API_KEY", provider="vllm")
    yield model
    await model.close()


async def test_a_chat(chat, embedded):
    response = await chat.complete(ASK)
    assert response.content.strip()
    assert response.call.model == embedded.model
    assert response.call.finish_reason in ("stop", "length")
    assert response.call.usage.input_tokens > 10
    assert 0 < response.call.usage.output_tokens <= 48
    assert response.call.response_id


async def test_a_guided_answer_is_the_json_that_was_asked_for(chat):
    schema = {"type": "json_schema", "json_schema": {"name": "sale", "schema": SALE, "strict": True}}
    response = await chat.complete(replace(ASK, response_format=schema))
    found = json.loads(response.content)
    assert list(found) == ["sale"]
    assert found["sale"].isdigit()
    assert len(found["sale"]) == 4


async def test_a_tool_call_and_its_result(chat):
    tool = ToolSpec("look_up", "Find a sale by its number.", SALE)
    response = await chat.complete(replace(ASK, tools=[tool], tool_choice="look_up"))
    (call,) = response.tool_calls
    assert call.name == "look_up"
    assert call.id
    assert call.arguments is not None
    assert set(call.arguments) == {"sale"}
    # The conversation so far must be accepted when it comes back.
    messages = [
        *ASK.messages,
        Message("assistant", "", 0, (call,)),
        Message("tool", '{"total": "12.50"}', 0, tool_call_id=call.id, name=call.name),
    ]
    after = await chat.complete(replace(ASK, messages=messages, tools=[tool], tool_choice="none"))
    assert after.call.finish_reason in ("stop", "length")
    assert after.call.usage.input_tokens > response.call.usage.input_tokens
