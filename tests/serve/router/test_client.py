"""The client for upstreams, on the bare connection: what it understands, what it keeps, what it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agentkit.errors import ConfigError
from agentkit.serve.router.client import Client, NoAnswer, TooSlow, Unreachable
from agentkit.serve.upstream import Upstream

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Says what it is told to each request; counts connections."""

    def __init__(self, answers: list[list[bytes]], *, close: bool = False) -> None:
        self.answers, self.close, self.connections, self.heads = answers, close, 0, list[bytes]()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                await reader.readexactly(2)
                for piece in self.answers.pop(0):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
                if self.close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[Upstream]:
    listener = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield Upstream("it", f"http://127.0.0.1:{port}/v1", "m", api_key="key", headers=(("x-more", "yes"),), timeout=2)


async def ask(client: Client, upstream: Upstream) -> tuple[int, bytes]:
    async with await client.post(upstream, "/chat/completions", b"{}", {"traceparent": "00"}) as reply:
        return reply.status, await reply.whole(1000, 2)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_what_is_sent() -> None:
    server, client = Server([[OK]]), Client(2)
    async with listening(server) as upstream:
        assert await ask(client, upstream) == (200, b"ok")
        client.close()
    head = server.heads[0].decode()
    assert head.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
    for line in ("content-length: 2", "authorization: Bearer key", "x-more: yes", "traceparent: 00"):
        assert f"{line}\r\n" in head
    assert "host: 127.0.0.1:" in head


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        [OK],
        [OK[n : n + 1] for n in range(len(OK))],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n", b"1\r\nk\r\n0\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", OK],
    ],
    ids=["at once", "byte by byte", "chunked", "after a 100"],
)
async def test_connections_are_kept(answer: list[bytes]) -> None:
    server, client = Server([answer, answer, answer]), Client(2)
    async with listening(server) as upstream:
        assert [await ask(client, upstream) for _ in range(3)] == [(200, b"ok")] * 3
        client.close()
    assert server.connections == 1


async def test_an_answer_that_only_the_end_ends() -> None:
    server, client = Server([[b"HTTP/1.1 200 OK\r\n\r\n", b"ok"], [OK]], close=True), Client(2)
    async with listening(server) as upstream:
        assert await ask(client, upstream) == (200, b"ok")
        assert await ask(client, upstream) == (200, b"ok")
        client.close()
    assert server.connections == 2


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    server, client = Server([[OK], [OK]], close=True), Client(2)
    async with listening(server) as upstream:
        assert await ask(client, upstream) == (200, b"ok")
        assert await ask(client, upstream) == (200, b"ok")
        client.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([], "closed the connection"),
        ([b"HTTP/1.1 200 OK\r\nContent-Le"], "broke off"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"], "broke off"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"], "broke off"),
        ([b"nonsense\r\n\r\n"], "what came is not HTTP"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000], "more than 1000 bytes"),
    ],
)
async def test_what_is_no_answer(answer: list[bytes], says: str) -> None:
    client = Client(2)
    async with listening(Server([answer], close=True)) as upstream:
        with pytest.raises(NoAnswer, match=says):
            await ask(client, upstream)
        client.close()


async def test_nobody_there() -> None:
    with pytest.raises(Unreachable, match="cannot be reached: ConnectionRefusedError"):
        await ask(Client(2), Upstream("it", "http://127.0.0.1:9/v1", "m"))


async def test_an_upstream_that_a_request_ends_was_sent_it() -> None:
    """It answered before on that connection; then it is gone, with what was written."""

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(OK)
        await reader.readuntil(b"{}")
        listener.close()
        writer.close()

    client, listener = Client(2), await asyncio.start_server(end, "127.0.0.1", 0)
    upstream = Upstream("it", f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1", "m")
    assert await ask(client, upstream) == (200, b"ok")
    with pytest.raises(NoAnswer, match="closed the connection") as told:
        await ask(client, upstream)
    assert not isinstance(told.value, Unreachable), "it counts as an attempt"


async def test_too_slow() -> None:
    client, slow = Client(2), [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", *[b""] * 100]
    async with listening(Server([slow])) as upstream:
        with pytest.raises(TooSlow, match=r"nothing more within 0\.05 s"):
            async with await client.post(upstream, "/chat/completions", b"{}", {}) as reply:
                await reply.whole(1000, 0.05)
        client.close()


async def test_a_stream_that_is_done_leaves_its_connection() -> None:
    stream = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndone\r\n", b"0\r\n\r\n"]
    server, client = Server([stream, [OK]]), Client(2)
    async with listening(server) as upstream:
        async with await client.post(upstream, "/chat/completions", b"{}", {}) as reply:
            pieces = reply.pieces(2, 2)
            assert await anext(pieces) == b"done"
            reply.done = True
            await pieces.aclose()  # type: ignore[attr-defined]
        assert await ask(client, upstream) == (200, b"ok")
        client.close()
    assert server.connections == 1


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x/v1", "http://", "http://x:port/v1"])
async def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url: found"):
        await ask(Client(2), Upstream("it", url, "m"))
