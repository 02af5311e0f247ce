"""Slow and greedy callers, on the bare connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from agentkit.config import RouterSettings
from agentkit.serve.router.guard import GuardedProtocol
from tests.serve.router.instant import Way
from tests.serve.router.world import KEY, World, world

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
BODY = b'{"model": "pos", "messages": [{"role": "user", "content": "Hi"}]}'


@pytest.fixture(scope="module")
def hasty() -> Iterator[World]:
    with world(settings=RouterSettings(read_time=0.15, write_time=0.2, max_headers=8192)) as it:
        yield it


def dial(it: World, *said: bytes) -> socket.socket:
    host, port = it.url.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), timeout=10)
    with suppress(OSError):  # it may be hung up on meanwhile
        sock.sendall(b"".join(said))
    return sock


def heard(sock: socket.socket) -> bytes:
    """Everything until the router hangs up."""
    with sock:
        found = b""
        with suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                found += piece
        return found


def test_who_says_nothing_is_hung_up_on(hasty: World) -> None:
    assert heard(dial(hasty)) == b""


def test_headers_that_do_not_end(hasty: World) -> None:
    said = heard(dial(hasty, HEAD, b"X-Slow: "))
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in said


def test_headers_of_the_second_request_that_do_not_end(hasty: World) -> None:
    sock = dial(hasty, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
    sock.sendall(b"GET /healthz HTTP/1.1\r\nHo")
    assert heard(sock).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_does_not_come(hasty: World) -> None:
    sock = dial(hasty, HEAD, b"Content-Type: application/json\r\nContent-Length: 70\r\n\r\n", BODY[:10])
    said = heard(sock)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"the body was not here after 0.15 s" in said


def test_a_body_byte_by_byte_has_the_same_time(hasty: World) -> None:
    sock = dial(hasty, HEAD, b"Content-Type: application/json\r\nContent-Length: 70\r\n\r\n")
    with suppress(OSError):
        for _ in range(60):
            sock.sendall(b" ")
            time.sleep(0.01)
    assert b"408" in heard(sock)


@pytest.mark.parametrize(
    "headers",
    [
        b"X-Long: " + b"a" * 9000 + b"\r\n\r\n",
        b"".join(b"X-%d: a\r\n" % number for number in range(2000)) + b"\r\n",
        b"X-Endless: " + b"a" * 100_000,
    ],
    ids=["one long", "many short", "no end"],
)
def test_headers_that_are_too_long(hasty: World, headers: bytes) -> None:
    said = heard(dial(hasty, HEAD, headers))
    assert said.startswith(b"HTTP/1.1 431 ")
    assert b"headers_too_large" in said


def test_an_address_that_is_too_long(hasty: World) -> None:
    assert heard(dial(hasty, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x02\x00\x01\x00", b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100]
)
def test_what_is_no_http(hasty: World, said: bytes) -> None:
    answer = heard(dial(hasty, said))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"invalid_http"' in answer


@pytest.mark.parametrize("more", [b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: -1\r\n"])
def test_lengths_that_contradict_each_other(hasty: World, more: bytes) -> None:
    assert heard(dial(hasty, HEAD, more, b"\r\n", BODY)).startswith(b"HTTP/1.1 400 ")


def test_who_does_not_read_its_answer_holds_nothing(hasty: World) -> None:
    hasty.fresh().upstream.ways = lambda _: Way(pieces=tuple({"content": "x" * 60_000} for _ in range(200)))
    body = BODY[:-1] + b', "stream": true}'
    length = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with dial(hasty, HEAD, length, body):
        kept = hasty.exchange()
        hasty.until(lambda: hasty.upstream.running == 0)
    assert kept.status == 499
    assert "did not read" in (kept.error or "")


def test_who_hangs_up_frees_the_upstream(one: World) -> None:
    one.upstream.ways = lambda _: Way(hang=30)
    with one.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json={"model": "pos", "messages": [{"role": "user"}]}, timeout=0.1)
    kept = one.exchange()
    assert (kept.status, kept.error) == (499, "the caller hung up")
    one.until(lambda: one.upstream.gone == 1)
    assert one.router.balance.health("replica-0").in_flight == 0
    assert one.router.balance.health("replica-0").failures == 0, "that says nothing of the upstream"


def test_who_hangs_up_during_a_stream_frees_the_upstream(one: World) -> None:
    one.upstream.ways = lambda _: Way(pause=0.02, pieces=tuple({"content": "x"} for _ in range(2000)))
    body = {"model": "pos", "stream": True, "messages": [{"role": "user"}]}
    with one.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert next(answer.iter_bytes())
    kept = one.exchange()
    assert kept.status == 499
    assert kept.first_token is not None
    assert kept.response is not None, "what was said until then"
    one.until(lambda: one.upstream.gone == 1)


def test_defaults_are_those_of_the_settings() -> None:
    assert GuardedProtocol.max_head == RouterSettings().max_headers
    assert GuardedProtocol.read_time == RouterSettings().read_time
