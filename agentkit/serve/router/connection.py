"""One HTTP/1.1 connection to an upstream: a request out, the answer back as it comes.

The parser is httptools, which the server's side uses as well. A general HTTP client takes several times as long for
what is needed here, which is a good part of what a request may cost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

import httptools

_HIGH_WATER = 256 * 2**10
"""Bytes of an answer that wait here; beyond, the upstream has to."""


class Lost(Exception):
    """The connection ended before the answer did. `unused`: nothing at all had come back on it."""

    def __init__(self, message: str, *, unused: bool) -> None:
        super().__init__(message)
        self.unused = unused


class Connection(asyncio.Protocol):
    """One request at a time. `reusable` says whether another may follow once the answer is complete."""

    status: int | None
    headers: dict[str, str]
    _parser: Any
    _pieces: deque[bytes]
    _waiting: int
    """Bytes in `_pieces`."""
    _paused: bool
    _complete: bool
    _keep: bool
    _to_the_end: bool
    """Whether only the end of the connection ends the answer."""
    _received: bool
    _lost: str | None
    """How the connection ended before the answer did."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.idle_since = 0.0
        """The loop's time at which it was last given back."""
        self.used = False
        """Whether it has answered before."""
        self._reset()

    @property
    def reusable(self) -> bool:
        """Whether it can take another request."""
        return self._complete and self._keep and not self.closed

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def request(self, head: bytes, body: bytes) -> tuple[int, dict[str, str]]:
        """Send a request, and give status and headers of its answer (names in lower case). Raises Lost."""
        self._reset()
        if self._transport is None or self._transport.is_closing():
            raise Lost("the connection is closed", unused=True)
        self._transport.write(head + body)
        while self.status is None:
            self._raise_if_lost()
            await self._wait()
        return self.status, self.headers

    async def piece(self) -> bytes:
        """The next bytes of the body; empty at its end. Raises Lost."""
        while not self._pieces:
            if self._complete:
                return b""
            self._raise_if_lost()
            await self._wait()
        found = self._pieces.popleft() if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._waiting = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return found

    def close(self) -> None:
        """End it at once; whatever is still to come is of no interest."""
        if self._transport is not None:
            self._transport.abort()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.status = None
        self.headers = {}
        self._pieces = deque()
        self._waiting = 0
        self._paused = self._complete = self._keep = self._to_the_end = self._received = False
        self._lost = None

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise Lost(self._lost, unused=not self._received)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._lost = f"what came is not HTTP: {error}"
            self.close()
        self._wake()

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self._complete:
            if self._to_the_end and exc is None and self.status is not None:
                self._complete = True
            elif self._lost is None:
                self._lost = "broke off" if self._received else "closed the connection"
        self._wake()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # only says that the answer is still to come
            self.headers.clear()
            return
        self._to_the_end = "content-length" not in self.headers and "transfer-encoding" not in self.headers
        self.status = status

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._waiting += len(body)
        if self._waiting > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.status is None:
            return
        self._complete = True
        self._keep = self._parser.should_keep_alive()
