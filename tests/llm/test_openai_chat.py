"""The client against a real HTTP server that behaves well, and against settings that cannot be used."""

import asyncio
import gzip
import json
import logging
from dataclasses import replace

import httpx
import pytest

from agentkit.errors import ConfigError, ProviderError
from agentkit.llm import FREE, Budget, Price
from agentkit.llm.openai import OpenAIChat
from agentkit.llm.post import MAX_BODY
from agentkit.llm.retry import Retries
from agentkit.records import ToolCall, Usage

KEY = "correct-horse-battery-staple"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_an_answer_with_all_that_is_known_of_it(server, open_chat, ask):
    response = await open_chat(price=Price(1.0, 2.0)).complete(ask)
    assert response.content == "Hi."
    assert response.tool_calls == ()
    call = response.call
    assert (call.model, call.response_id, call.finish_reason) == ("tiny-2026", "chatcmpl-1", "stop")
    assert call.usage == Usage(100, 20)
    assert call.cost == pytest.approx(140e-6)
    assert call.attempts == 1
    assert server.received[0].path == "/v1/chat/completions"
    assert server.received[0].body["model"] == "tiny"


async def test_traceparent_key_and_headers_arrive(server, open_chat, ask, monkeypatch):
    monkeypatch.setenv("TINY_API_KEY", f"  {KEY}\n")
    chat = open_chat(api_key_env="TINY_API_KEY", headers={"x-team": "returns"})
    await chat.complete(replace(ask, traceparent=PARENT, conversation="c-17"))
    headers = server.received[0].headers
    assert headers["traceparent"] == PARENT
    assert headers["x-conversation-id"] == "c-17"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-team"] == "returns"


async def test_the_key_can_travel_in_another_header_and_none_is_sent_unasked(server, open_chat, ask, monkeypatch):
    monkeypatch.setenv("TINY_API_KEY", KEY)
    await open_chat(api_key_env="TINY_API_KEY", api_key_header="api-key").complete(ask)
    await open_chat().complete(ask)
    first, second = (received.headers for received in server.received)
    assert first["api-key"] == KEY
    assert "authorization" not in first
    assert "authorization" not in second
    assert "traceparent" not in second
    assert "x-conversation-id" not in second


async def test_the_key_shows_nowhere(server, open_chat, ask, monkeypatch, caplog):
    monkeypatch.setenv("TINY_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.script = [
        server.error(503, f"try later, {KEY}"),
        server.error(401, f"Incorrect API key provided: {KEY}"),
    ]
    chat = open_chat(api_key_env="TINY_API_KEY")
    with pytest.raises(ProviderError) as caught:
        await chat.complete(ask)
    assert server.received[1].headers["authorization"] == f"Bearer {KEY}"
    assert "[redacted]" in str(caught.value)
    assert any("attempt 1 failed" in record.getMessage() for record in caplog.records)
    chain = [caught.value, caught.value.__cause__]
    for shown in (repr(chat), str(chat), caplog.text, *map(str, chain), *map(repr, chain)):
        assert KEY not in shown


async def test_a_query_in_the_base_url_is_kept(server, open_chat, ask):
    await open_chat(f"{server.url}/?api-version=2026-01").complete(ask)
    assert server.received[0].path == "/v1/chat/completions?api-version=2026-01"


async def test_connections_are_used_again(server, open_chat, ask):
    chat = open_chat()
    for _ in range(5):
        await chat.complete(ask)
    assert len(server.received) == 5
    assert len(server.connections) == 1


async def test_a_server_on_this_machine_is_never_asked_through_a_proxy(server, open_chat, ask, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert (await open_chat().complete(ask)).content == "Hi."


async def test_other_servers_are_asked_through_the_proxy_of_the_environment(server, open_chat, ask, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert (await open_chat("http://models.example/v1").complete(ask)).content == "Hi."
    assert server.received[0].path == "http://models.example/v1/chat/completions"


async def test_a_transport_below_the_client_takes_the_place_of_the_network(ask):
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url == "https://models.example/v1/chat/completions"
        return httpx.Response(200, json={"choices": [{"message": {"content": "planted"}}]})

    chat = OpenAIChat("https://models.example/v1", "m", transport=httpx.MockTransport(handler))
    assert (await chat.complete(ask)).content == "planted"
    await chat.close()


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (None, {"prompt_tokens": 1, "completion_tokens": 1}, None),
        (Price(1.0, 1.0), {"prompt_tokens": 1}, None),
        (Price(1.0, 1.0), None, None),
        (FREE, None, 0.0),
        (
            Price(2.0, 4.0, cached=0.5),
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
            34e-6,
        ),
    ],
)
async def test_a_cost_is_known_only_with_a_price_and_all_counts(server, open_chat, ask, price, usage, cost):
    server.script = [server.answer(server.completion() | {"usage": usage})]
    response = await open_chat(price=price).complete(ask)
    assert response.call.cost == (cost if cost is None else pytest.approx(cost))


async def test_tool_calls_that_are_no_json_are_kept_as_they_are(server, open_chat, ask):
    calls = [
        {"id": "a", "type": "function", "function": {"name": "look_up", "arguments": '{"sale": 4'}},
        {"id": "b", "type": "function", "function": {"name": "look_up", "arguments": '{"sale": 4}'}},
    ]
    server.script = [server.answer(server.completion(None, tool_calls=calls))]
    response = await open_chat().complete(ask)
    assert response.tool_calls == (
        ToolCall("a", "look_up", None, '{"sale": 4'),
        ToolCall("b", "look_up", {"sale": 4}),
    )


NAN = json.dumps({"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": float("nan")}})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"choices": [{"message": {"content": "\xff"}}]}', "not JSON"),
        (NAN.encode(), "not JSON"),
        (b"<html>502</html>", "it begins '<html>502</html>'"),
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "the answer: found an empty list, expected an object"),
        (b'{"choices": []}', "choices: found an empty list"),
        (b'{"choices": [{"message": null}]}', r"choices\[0\].message: found nothing"),
        (b'{"choices": [{"message": {"content": 5}}]}', "found a number"),
        (b'{"error": {"message": "model crashed"}}', "an error in the place of an answer: model crashed"),
        (b'{"choices": [{"message": {"tool_calls": [{}]}}]}', r"tool_calls\[0\].function: found nothing"),
        (b'{"choices": [{"message": {"content": "' + b"x" * 10 * 2**20 + b'"}}]}', "more than 8388608 bytes"),
    ],
)
async def test_an_answer_of_another_shape_is_a_protocol_error_at_once(server, open_chat, ask, time, body, said):
    server.script = [server.raw(200, body)]
    with pytest.raises(ProviderError, match=said) as caught:
        await open_chat().complete(ask)
    assert caught.value.kind == "protocol"
    assert len(server.received) == 1
    assert time.slept == []


@pytest.mark.parametrize("message", [{"content": "x", "tool_calls": [{"function": {"name": ""}}]}, None])
@pytest.mark.parametrize(
    ("usage", "cost", "total"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 20}, 140e-6, 120),
        ({"prompt_tokens": 100}, None, 100),
        ({}, 0.0, 0),
        (None, 0.0, 0),
    ],
)
async def test_what_an_answer_of_another_shape_took_is_in_the_budget(
    server, open_chat, ask, message, usage, cost, total
):
    server.script = [server.answer({"choices": [{"message": message}], "usage": usage})]
    budget = Budget(max_cost=1.0)
    with pytest.raises(ProviderError):
        await open_chat(price=Price(1.0, 2.0), budget=budget).complete(ask)
    assert (budget.totals.calls, budget.totals.usage.total) == (1, total)
    assert budget.totals.cost == (cost if cost is None else pytest.approx(cost))


async def test_a_bomb_of_zeros_is_not_unpacked_whole(server, open_chat, ask):
    bomb = gzip.compress(bytes(3 * MAX_BODY))
    server.script = [server.raw(200, bomb, "content-encoding: gzip")]
    with pytest.raises(ProviderError, match="more than 8388608 bytes"):
        await open_chat().complete(ask)


async def test_what_cannot_be_unpacked_is_a_protocol_error(server, open_chat, ask):
    server.script = [server.raw(200, b"not gzip at all", "content-encoding: gzip")]
    with pytest.raises(ProviderError, match="cannot unpack") as caught:
        await open_chat().complete(ask)
    assert caught.value.kind == "protocol"


async def test_cancelling_leaves_the_model_usable(server, open_chat, ask):
    chat = open_chat()
    server.script = [server.drip, server.answer()]
    task = asyncio.create_task(chat.complete(ask))
    await server.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await chat.complete(ask)).content == "Hi."


async def test_nobody_listens(open_chat, ask, time):
    chat = open_chat("http://127.0.0.1:1/v1", retries=Retries(attempts=3))
    with pytest.raises(ProviderError, match=r"tiny at http://127.0.0.1:1/.*\(3 attempts\)") as caught:
        await chat.complete(ask)
    assert caught.value.kind == "connection"
    assert len(time.slept) == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "http://me:hunter2@host/v1"}, "base_url: holds a user, password or key"),
        ({"base_url": "http://host/v1?key=hunter2"}, "base_url: holds a user, password or key"),
        ({"base_url": "http://host/v1?api_key=hunter2"}, "base_url: holds a user, password or key"),
        ({"base_url": "host:8000/v1"}, "expected a URL such as"),
        ({"base_url": "ftp://host/v1"}, "expected a URL such as"),
        ({"base_url": "http://host:port/v1"}, "not a URL"),
        ({"base_url": "http://host/v1/chat/completions/"}, "expected the part before /chat/completions"),
        ({"api_key_env": "TINY_API_KY"}, "'TINY_API_KY' is not set .did you mean 'TINY_API_KEY'"),
        ({"api_key_env": "hunter2-hunter2"}, "api_key_env: found what is no name of an environment variable"),
        ({"api_key_env": "gsk_hunter2hunter2hunter2"}, "api_key_env: found what is no name of an environment variable"),
        ({"api_key_env": "TINY_BAD_KEY"}, "characters that no key has"),
        ({"headers": {"X-Api-Key": "hunter2"}}, "headers: 'X-Api-Key' is a secret"),
        ({"budget": Budget(max_cost=1.0)}, "no price is known for the model 'm'"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_showing_a_secret(monkeypatch, settings, said):
    monkeypatch.setenv("TINY_API_KEY", KEY)
    monkeypatch.setenv("TINY_BAD_KEY", "hunter2\nhunter2")
    with pytest.raises(ConfigError, match=said) as caught:
        OpenAIChat(**{"base_url": "http://host/v1", "model": "m"} | settings)
    assert "hunter2" not in str(caught.value)
    assert KEY not in str(caught.value)
