"""A chat completion through the router, whole and streamed: what goes upstream, what comes back, what is kept."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from agentkit.records import Usage
from tests.serve.router.instant import USAGE, Way
from tests.serve.router.world import ADAPTER, BASE, HELLO, World

CALL = (
    {"role": "assistant", "content": None, "tool_calls": [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "find", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"sale": '}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '"S-1"}'}}]},
    {"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
)  # fmt: skip


def pieces(text: str) -> list[Any]:
    events = [it for it in text.split("\n\n") if it]
    assert events[-1] == "data: [DONE]"
    return [json.loads(it.removeprefix("data: ")) for it in events[:-1]]


def test_a_whole_answer(one: World) -> None:
    answer = one.chat(temperature=0.5)
    assert answer.status_code == 200
    found = answer.json()
    assert found["choices"][0]["message"] == {"role": "assistant", "content": "All is well."}
    assert found["usage"] == USAGE
    assert found["model"] == "pos/refund"
    assert found["id"].startswith("chatcmpl-")
    assert answer.headers["x-request-id"] == found["id"]
    assert answer.headers["x-agentkit-revision"] == "7"
    assert answer.headers["x-agentkit-target"] == "base"
    (body, headers), = one.upstream.seen  # fmt: skip
    assert body == {"model": "base", "messages": HELLO["messages"], "temperature": 0.5}
    assert headers["authorization"] == "Bearer theirs"


def test_what_is_kept_of_it(one: World) -> None:
    answer = one.chat(user="carol@example.com", metadata={"conversation_id": "talk-1", "secret": "words"})
    kept = one.exchange()
    assert kept.id == answer.json()["id"]
    assert (kept.conversation, kept.key, kept.agent, kept.step) == ("talk-1", "alice", "pos", "refund")
    assert (kept.revision, kept.arm, kept.target, kept.replica, kept.model) == (7, "live", BASE, "replica-0", "base")
    assert kept.request == {"model": "pos/refund", "messages": HELLO["messages"]}, "no user, no metadata"
    assert kept.response == {"role": "assistant", "content": "All is well."}
    assert (kept.status, kept.error, kept.finish_reason, kept.attempts) == (200, None, "stop", 1)
    assert kept.usage == Usage(11, 3)
    assert kept.user == "pseudonym of carol@example.com"
    assert kept.latency > 0
    assert kept.first_token is None


def test_capture_is_told_how_much_it_is_offered(one: World) -> None:
    answer = one.chat(tools=[{"type": "function", "function": {"name": "pay", "description": "word " * 10_000}}])
    kept = one.exchange()
    assert one.capture.sizes == [len(answer.request.content) + len(orjson.dumps(kept.response))]
    with one.client() as client:
        body = iter([answer.request.content])  # httpx then says no length
        headers = {"content-type": "application/json"}
        assert client.post("/v1/chat/completions", content=body, headers=headers).status_code == 200
    one.exchanges(2)
    assert one.capture.sizes[1] is None


def test_a_stream(one: World) -> None:
    answer = one.chat(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = pieces(answer.text)
    assert "".join(it["choices"][0]["delta"].get("content") or "" for it in found) == "All is well."
    assert {(it["id"], it["model"]) for it in found} == {(answer.headers["x-request-id"], "pos/refund")}
    assert not any("usage" in it for it in found), "the caller did not ask for it"
    kept = one.exchange()
    assert kept.response == {"role": "assistant", "content": "All is well."}
    assert kept.usage == Usage(11, 3)
    assert kept.finish_reason == "stop"
    assert kept.first_token is not None
    assert kept.first_token <= kept.latency
    assert one.upstream.seen[0][0]["stream_options"] == {"include_usage": True}


def test_the_tokens_of_a_stream_for_who_asks(one: World) -> None:
    found = pieces(one.chat(stream=True, stream_options={"include_usage": True}).text)
    assert found[-1]["usage"] == USAGE
    assert found[-1]["choices"] == []


def test_calls_of_tools_are_joined(one: World) -> None:
    one.upstream.ways = lambda _: Way(pieces=CALL, finish="tool_calls")
    tools = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    found = pieces(one.chat(stream=True, tools=tools, tool_choice="auto", response_format=form).text)
    assert [it["choices"][0]["delta"] for it in found[1:5]] == list(CALL), "passed on as they came"
    body = one.upstream.seen[0][0]
    assert (body["tools"], body["tool_choice"], body["response_format"]) == (tools, "auto", form)
    kept = one.exchange()
    assert kept.finish_reason == "tool_calls"
    assert kept.response == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"sale": "S-1"}'}},
            {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
        ],
    }


def test_pieces_in_pieces(one: World) -> None:
    """Bytes come as the network likes: events cut in two, several at once, with carriage returns and comments."""
    events = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\r\n\r\n: ping\r\n\r\n'
    events += b'event: x\ndata: {"choices":[{"index":0,\ndata: "delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'
    one.upstream.ways = lambda _: Way(pieces=(), finish=None, tail=tuple(events[n : n + 1] for n in range(len(events))))
    answer = one.chat(stream=True)
    assert answer.status_code == 200
    assert one.exchange().response == {"role": "assistant", "content": "ab"}


def test_a_stream_with_carriage_returns_that_just_ends(one: World) -> None:
    said = b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":%s}]}\r\n\r\n'
    one.upstream.ways = lambda _: Way(pieces=(), finish=None, tail=(said % (b"a", b"null"), said % (b"b", b'"stop"')))
    answer = one.chat(stream=True)
    assert answer.text.endswith("data: [DONE]\n\n")
    kept = one.exchange()
    assert (kept.error, kept.finish_reason) == (None, "stop")
    assert kept.response == {"role": "assistant", "content": "ab"}


@pytest.mark.parametrize(
    ("more", "agent", "step", "target"),
    [
        ({"model": "pos/greet"}, "pos", "greet", ADAPTER),
        ({"model": "pos", "metadata": {"step": "greet"}}, "pos", "greet", ADAPTER),
        ({"model": "anything", "metadata": {"agent": "pos", "step": "greet"}}, "pos", "greet", ADAPTER),
        ({"model": "pos"}, "pos", "", BASE),
        ({"model": "elsewhere/new step"}, "elsewhere", "new step", BASE),
    ],
)
def test_agent_and_step_are_named(one: World, more: dict[str, Any], agent: str, step: str, target: Any) -> None:
    answer = one.chat(**more)
    assert answer.json()["model"] == more["model"]
    kept = one.exchange()
    assert (kept.agent, kept.step, kept.target) == (agent, step, target)
    assert one.upstream.seen[0][0]["model"] == str(target)


def test_whose_conversation_it_is(one: World) -> None:
    system = {"role": "system", "content": "You are a till."}
    first = [system, {"role": "user", "content": "Hi"}]
    later = [*first, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "My money!"}]
    named = {"x-conversation-id": "from-a-header"}
    found = [
        one.chat(metadata={"conversation_id": "mine"}, headers=named),
        one.chat(headers=named),
        one.chat(messages=first),
        one.chat(messages=later),
        one.chat("sk-agentkit-bob", messages=first),
        one.chat(messages=[system, {"role": "user", "content": "Hello"}]),
        one.chat(messages=first, user="carol@example.com"),
        one.chat(messages=later, metadata={"user_id": "carol@example.com"}),
        one.chat(messages=first, user="dan@example.com"),
    ]
    ids = [it.headers["x-conversation-id"] for it in found]
    assert ids[:2] == ["mine", "from-a-header"]
    assert ids[2] == ids[3], "the same conversation, later"
    assert ids[6] == ids[7], "the same user's, later"
    assert len({*ids[2:]}) == 5, "another key, other first words, other users"
    assert [it[0] for it in one.table.resolved] == ids


@pytest.mark.parametrize(("word", "kept"), [(True, 1), ("yes", 1), (None, 1), (False, 0), ("no", 0)])
def test_who_does_not_consent_is_not_kept(one: World, word: Any, kept: int) -> None:
    before = one.metric("agentkit_no_consent_total") or 0
    assert one.chat(metadata={"consent": word}).status_code == 200
    assert one.chat(metadata={"conversation_id": "last"}).status_code == 200
    found = one.exchanges(kept + 1)
    assert len(found) == kept + 1
    assert (one.metric("agentkit_no_consent_total") or 0) - before == 1 - kept
    if kept and word is not None:
        assert found[0].request["metadata"] == {"consent": True}, "capture may require it"
