"""OpenAI's own client and LangChain's, unchanged."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from tests.serve.router.instant import Way
from tests.serve.router.test_chat import CALL
from tests.serve.router.world import KEY, World

HELLO: Any = [{"role": "user", "content": "Hello"}]
MESSAGE = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"sale": "S-1"}'}}],
}


@tool
def find(sale: str) -> str:
    """Find a sale."""
    return sale


@pytest.fixture
def client(one: World) -> Any:
    with openai.OpenAI(base_url=f"{one.url}/v1", api_key=KEY, max_retries=0) as it:
        yield it


def test_openai(one: World, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="pos/refund", messages=HELLO, user="carol")
    assert answer.choices[0].message.content == "All is well."
    assert answer.usage is not None
    assert answer.usage.total_tokens == 14
    assert answer._request_id == answer.id == one.exchange().id
    with client.chat.completions.create(model="pos/refund", messages=HELLO, stream=True) as stream:
        words = [piece.choices[0].delta.content or "" for piece in stream]
    assert "".join(words) == "All is well."
    assert [it.id for it in client.models.list()] == ["agentkit", "pos/greet", "pos/hard", "pos/refund"]
    assert client.models.retrieve("pos/greet").id == "pos/greet"


def test_openai_is_told_what_is_wrong(one: World, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="found 'wizard'"):
        client.chat.completions.create(model="pos", messages=[{"role": "wizard"}])  # type: ignore[list-item,misc]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="../x", messages=HELLO)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
    one.upstream.ways = lambda _: Way(status=500)
    with pytest.raises(openai.InternalServerError, match="the model server failed"):
        client.chat.completions.create(model="pos", messages=HELLO)
    one.upstream.ways = lambda _: Way(cut_after=2)
    with pytest.raises(openai.APIError, match="the stream broke"):
        list(client.chat.completions.create(model="pos", messages=HELLO, stream=True))


def test_langchain(one: World) -> None:
    model = ChatOpenAI(model="pos/refund", base_url=f"{one.url}/v1", api_key=KEY, max_retries=0)  # type: ignore[arg-type]
    assert model.invoke("Hello").content == "All is well."
    pieces = list(model.stream("Hello", stream_usage=True))
    assert "".join(str(it.content) for it in pieces) == "All is well."
    assert sum((it.usage_metadata or {}).get("total_tokens", 0) for it in pieces) == 14
    tooled = model.bind_tools([find])
    one.upstream.ways = lambda body: Way(message=MESSAGE, finish="tool_calls", pieces=CALL)
    (call,) = tooled.invoke("Find it").tool_calls  # type: ignore[attr-defined]
    assert (call["name"], call["args"]) == ("find", {"sale": "S-1"})
    whole: Any = None
    for piece in tooled.stream("Find it"):
        whole = piece if whole is None else whole + piece
    assert [(it["name"], it["args"]) for it in whole.tool_calls] == [("find", {"sale": "S-1"}), ("look", {})]
    assert one.upstream.seen[-1][0]["tools"][0]["function"]["name"] == "find"
