"""Bytes to an upstream and back, over connections that are kept."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from agentkit.errors import ConfigError
from agentkit.serve.router.connection import Connection, Lost
from agentkit.serve.upstream import Upstream

_IDLE = 4.0
"""Seconds that an idle connection is kept: less than servers do (vLLM: 5), so that none is just being closed."""
_MOMENT = 0.05
"""Seconds."""
_MOST_IDLE = 256


class NoAnswer(Exception):
    """The upstream broke off, or said what is no answer."""


class Unreachable(NoAnswer):
    """Nothing was sent, since there is nobody."""


class TooSlow(Exception):
    """The upstream took longer than it may."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an upstream listens."""

    host: str
    port: int
    tls: bool
    path: str
    name: str
    """What the header `Host` says."""


class Reply:
    """An answer whose head is here; a context manager that gives the connection back, or ends it."""

    def __init__(self, client: Client, place: _Place, connection: Connection, status: int, headers: Mapping[str, str]):
        self._client = client
        self._place = place
        self._connection = connection
        self.status = status
        self.headers = headers
        """Names in lower case."""
        self.done = False
        """Set by whoever has read all that is of interest: what ends the answer follows within a moment."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.done and not self._connection.reusable:
            with suppress(TimeoutError, Lost):
                async with asyncio.timeout(_MOMENT):
                    while await self._connection.piece():
                        pass
        self._client.give_back(self._place, self._connection)

    async def pieces(self, first: float, idle: float) -> AsyncIterator[bytes]:
        """The body as it comes. Raises NoAnswer where it breaks off, TooSlow after `first` and then `idle` seconds
        without a piece."""
        patience = first
        while True:
            try:
                async with asyncio.timeout(patience):
                    piece = await self._connection.piece()
            except TimeoutError:
                raise TooSlow(f"nothing more within {patience:g} s") from None
            except Lost as error:
                raise NoAnswer(str(error)) from None
            if not piece:
                return
            yield piece
            patience = idle

    async def whole(self, most: int, idle: float) -> bytes:
        """All of the body. Raises as `pieces`, and NoAnswer where it is longer than `most` bytes."""
        content = bytearray()
        async for piece in self.pieces(idle, idle):
            content += piece
            if len(content) > most:
                raise NoAnswer(f"sent an answer of more than {most} bytes")
        return bytes(content)


class Client:
    """Asks upstreams; one for all requests of a process. `connect_time`: seconds to connect to one."""

    def __init__(self, connect_time: float) -> None:
        self._connect_time = connect_time
        self._idle: dict[_Place, list[Connection]] = defaultdict(list)
        self._tls: ssl.SSLContext | None = None

    async def post(self, upstream: Upstream, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send JSON to `path` below the upstream's address, and give its answer once the head is here.

        Raises NoAnswer, or TooSlow after the upstream's timeout.
        """
        place = place_of(upstream.base_url)
        head = _head(upstream, place, path, len(body), headers)
        try:
            async with asyncio.timeout(upstream.timeout):
                return await self._ask(place, head, body)
        except TimeoutError:
            raise TooSlow(f"no answer within {upstream.timeout:g} s") from None
        except Lost as error:
            raise NoAnswer(str(error)) from None

    def give_back(self, place: _Place, connection: Connection) -> None:
        """A request is over: keep its connection for the next one if it can be used again."""
        idle = self._idle[place]
        if connection.reusable and len(idle) < _MOST_IDLE:
            connection.used = True
            connection.idle_since = asyncio.get_running_loop().time()
            idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """End all connections that are kept."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    async def _ask(self, place: _Place, head: bytes, body: bytes) -> Reply:
        """One request. Where a connection that was kept turns out to be closed, another is taken; what was written on
        it by then may have been read."""
        lost: Lost | None = None
        while True:
            try:
                connection = self._kept(place) or await self._connect(place)
            except Unreachable:
                if lost is not None:
                    raise lost from None
                raise
            try:
                status, headers = await connection.request(head, body)
            except Lost as error:
                connection.close()
                if connection.used and error.unused:
                    lost = error
                    continue
                raise
            except BaseException:
                connection.close()
                raise
            return Reply(self, place, connection, status, headers)

    def _kept(self, place: _Place) -> Connection | None:
        idle, now = self._idle[place], asyncio.get_running_loop().time()
        while idle:
            connection = idle.pop()
            if not connection.closed and now - connection.idle_since < _IDLE:
                return connection
            connection.close()
        return None

    async def _connect(self, place: _Place) -> Connection:
        if place.tls and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            async with asyncio.timeout(self._connect_time):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, place.host, place.port, ssl=self._tls if place.tls else None
                )
        except TimeoutError:
            raise Unreachable(f"cannot be reached within {self._connect_time:g} s") from None
        except OSError as error:
            raise Unreachable(f"cannot be reached: {type(error).__name__}") from None
        return connection


@lru_cache(256)
def place_of(base_url: str) -> _Place:
    """Where the server of an address listens. Raises ConfigError for what is no address of an HTTP server."""
    try:
        url = urlsplit(base_url)
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"base_url: found {base_url!r}, expected a URL such as http://127.0.0.1:8000/v1")
    tls = url.scheme == "https"
    return _Place(url.hostname, port or (443 if tls else 80), tls, url.path.rstrip("/"), url.netloc.rpartition("@")[2])


def _head(upstream: Upstream, place: _Place, path: str, length: int, headers: Mapping[str, str]) -> bytes:
    sent = {
        "host": place.name,
        "content-type": "application/json",
        "content-length": str(length),
        "accept-encoding": "identity",
        "user-agent": "agentkit",
        **dict(upstream.headers),
        **headers,
    }
    if upstream.api_key is not None:
        sent["authorization"] = f"Bearer {upstream.api_key}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"POST {place.path}{path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
