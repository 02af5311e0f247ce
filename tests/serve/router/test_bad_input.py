"""What is no request that can be answered is refused in OpenAI's form: the field, what was found, what is expected."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from agentkit.config import RouterSettings
from tests.serve.router.world import ADMIN, HELLO, KEY, World, world


def raw(one: World, content: bytes, *, status: int, code: str, **headers: str) -> dict[str, Any]:
    sent = {"content-type": "application/json", "authorization": f"Bearer {KEY}", **headers}
    with httpx.Client(base_url=one.url, trust_env=False, timeout=15) as client:
        answer = client.post("/v1/chat/completions", content=content, headers=sent)
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'"hello"', b"null", b'{"model": NaN}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b"\x00\x01"],
)
def test_no_json_object(one: World, content: bytes) -> None:
    raw(one, content, status=400, code="invalid_json")


@pytest.mark.parametrize(
    ("depth", "code"), [(63, "invalid_value"), (64, "too_deep"), (900, "too_deep"), (200_000, "invalid_json")]
)
def test_deep_nesting(one: World, depth: int, code: str) -> None:
    raw(
        one,
        b'{"messages":' + b"[" * depth + b"]" * depth + b"}",
        status=400,
        code=code,
    )


def test_a_body_of_50_megabytes(one: World) -> None:
    raw(one, b" " * 50 * 2**20, status=413, code="request_too_large")


def test_a_body_that_does_not_say_how_long_it_is(one: World) -> None:
    def chunks() -> Any:
        for _ in range(64):
            yield b" " * 2**16

    with one.client() as client:
        answer = client.post("/v1/chat/completions", content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_a_strange_page_can_send_from_a_browser(one: World, kind: str) -> None:
    raw(one, b'{"model": "pos"}', status=415, code="unsupported_media_type", **{"content-type": kind})
    assert one.upstream.seen == []


@pytest.mark.parametrize(
    ("more", "param", "says"),
    [
        ({"messages": []}, "messages", "found an empty list, expected a list of at least one message"),
        ({"messages": "Hello"}, "messages", "found a text"),
        ({"messages": None}, "messages", "found nothing"),
        ({"messages": ["Hello"]}, "messages[0]", "found a text, expected an object"),
        ({"messages": [{"role": "wizard"}]}, "messages[0].role", "found 'wizard', expected assistant"),
        ({"messages": [{"role": ["user"]}]}, "messages[0].role", "found ['user']"),
        ({"messages": HELLO["messages"] * 2001}, "messages", "found 2001 messages, expected at most 2000"),
        ({"model": None}, "model", "found nothing, expected AGENT/STEP"),
        ({"model": ""}, "model", "found an empty text"),
        ({"model": 7}, "model", "found a number"),
        ({"stream": "yes"}, "stream", "found 'yes', expected true or false"),
        ({"stream": True, "stream_options": []}, "stream_options", "found []"),
        ({"n": 1000}, "n", "found 1000, expected an integer from 1 to 16"),
        ({"n": True}, "n", "found True"),
        ({"user": 5}, "user", "found 5"),
        ({"user": "x" * 513}, "user", "expected a text of at most 512 characters"),
        ({"metadata": []}, "metadata", "found an empty list"),
        ({"metadata": {"consent": "perhaps"}}, "metadata.consent", "found 'perhaps'"),
        ({"metadata": {"consent": []}}, "metadata.consent", "found []"),
        ({"metadata": {"conversation_id": "a b"}}, "metadata.conversation_id", "found 'a b'"),
        ({"metadata": {"conversation_id": "x" * 201}}, "metadata.conversation_id", "1 to 200"),
        ({"metadata": {"conversation_id": {}}}, "metadata.conversation_id", "found {}"),
        ({"chat_template": "{{ x }}"}, "chat_template", "expected none"),
        ({"kv_transfer_params": {}}, "kv_transfer_params", "expected none"),
    ],
)
def test_a_field_that_is_wrong(one: World, more: dict[str, Any], param: str, says: str) -> None:
    answer = one.chat(**more)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert error["message"].startswith(f"{param}: ")
    assert says in error["message"]
    assert one.upstream.seen == []


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "pos/../admin",
        "pos/refund\n",
        "pos/\x1b[2J",
        "pos/a\r\nX-Evil: 1",
        "pos/a/b",
        "/x",
        "ünï",
        "a" * 200,
    ],
)
def test_names_that_are_tricks(one: World, name: str) -> None:
    answer = one.chat(model=name)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert answer.json()["error"]["message"].isprintable()
    assert one.upstream.seen == []
    again = one.chat(model="pos", metadata={"step": name})
    assert again.status_code == 404, "the same where a step is named in the metadata"


def test_an_agent_that_nobody_knows() -> None:
    with world(settings=RouterSettings(agents=("kiosk",))) as it:
        answer = it.chat(model="poss/refund")
        assert answer.status_code == 404
        assert "no agent is called 'poss' (did you mean 'pos'?)" in answer.json()["error"]["message"]
        assert it.chat(model="kiosk/greet").status_code == 200
        assert it.chat(model="pos/refund").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/v1", "/v1/completions", "/v1/embeddings", "/v1/load_lora_adapter", "/v1/unload_lora_adapter"),
        *("/adapters", "/v1/adapters", "/health", "/ping", "/version", "/tokenize", "/detokenize", "/pooling"),
        *("/docs", "/redoc", "/server_info", "/reset_prefix_cache", "/sleep", "/wake_up", "/v1/chat/completions/"),
        *("//v1/load_lora_adapter", "/v1/models/../load_lora_adapter", "/v1/%6Coad_lora_adapter", "/collective_rpc"),
    ],
)
def test_there_is_nothing_else(one: World, path: str) -> None:
    with one.client(ADMIN) as client:
        for method in ("GET", "POST"):
            answer = client.request(method, path, json={"lora_name": "evil", "lora_path": "/tmp/evil"})
            assert answer.status_code in (404, 405), f"{method} {path}"
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert one.upstream.seen == []


def test_the_wrong_method(one: World) -> None:
    with one.client() as client:
        answer = client.get("/v1/chat/completions")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "POST"


def test_a_traceparent_that_is_none_goes_nowhere(one: World) -> None:
    for traceparent in (
        "nonsense",
        "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "a" * 32 + "-" + "b" * 16 + "-01",
    ):
        assert one.chat(headers={"traceparent": traceparent}).status_code == 200
    assert not any("traceparent" in headers for _, headers in one.upstream.seen)


def test_a_header_cannot_smuggle_another(one: World) -> None:
    """The conversation's id comes back in a header; what would end that header is refused before."""
    host, port = one.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + KEY.encode() + b"\r\nX-Conversation-Id: a\x0bb\xe9\r\n"
            b"Content-Length: 64\r\nConnection: close\r\n\r\n"
            b'{"model": "pos", "messages": [{"role": "user", "content": "Hi"}]}'
        )
        said = b"".join(iter(lambda: sock.recv(4096), b""))
    assert said.startswith(b"HTTP/1.1 400 ")
