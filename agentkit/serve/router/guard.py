"""uvicorn's side of a connection, with the limits that it lacks: on the headers, and on how long they take."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agentkit.config import RouterSettings
from agentkit.serve.router.refused import Refused

ABORT = "agentkit.abort"
"""Among the extensions of a scope: ends the connection at once, whatever is still to be written."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. A request's head must be here in time, and may not be longer than is allowed."""

    max_head = 32 * 2**10
    """Bytes."""
    read_time = 20.0
    """Seconds."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._refusal: Refused | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._awaited is None and self.timeout_keep_alive_task is not None:  # the next request begins
            self._expect_head()
        self._received += len(data)
        super().data_received(data)
        if self._awaited is not None and self._received > self.max_head and not self.transport.is_closing():
            self._refuse(431, "headers_too_large", f"the headers are longer than {self.max_head} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._size = 0
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_is_here()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says to anything that is no request: here in the form of all other errors."""
        if self._refusal is None:
            self._refusal = Refused(400, "invalid_http", "this is no HTTP request that is understood here")
        self._send_refusal(self._refusal)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self.max_head:
            self._refusal = Refused(431, "headers_too_large", f"the headers are longer than {self.max_head} bytes")
            raise ValueError("headers too large")  # the parser stops, and send_400_response is called

    def _expect_head(self) -> None:
        self._received = 0
        self._awaited: asyncio.TimerHandle | None = self.loop.call_later(self.read_time, self._too_slow)

    def _head_is_here(self) -> None:
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited = None

    def _too_slow(self) -> None:
        self._awaited = None
        if self._received:
            self._refuse(408, "request_timeout", f"the headers were not here after {self.read_time:g} s")
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._send_refusal(Refused(status, code, message))

    def _send_refusal(self, refused: Refused) -> None:
        self._head_is_here()
        if self.transport.is_closing():
            return
        body = refused.body
        head = (
            f"HTTP/1.1 {refused.status} Refused\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def guarded(settings: RouterSettings) -> type[GuardedProtocol]:
    """The kind of connection that has the limits of the settings."""
    limits: dict[str, Any] = {"max_head": settings.max_headers, "read_time": settings.read_time}
    return type("Guarded", (GuardedProtocol,), limits)
