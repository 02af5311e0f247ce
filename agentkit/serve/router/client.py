"""Bytes to an upstream and back, over connections that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

import httpx

from agentkit.config import RouterSettings
from agentkit.serve.upstream import Upstream


class NoAnswer(Exception):
    """The upstream could not be reached, or broke off. `sent`: whether it may have begun to work."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class TooSlow(Exception):
    """The upstream took longer than it may."""


class Reply:
    """An answer whose head is here; a context manager that gives the connection back."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._response.aclose()

    async def pieces(self, first: float, idle: float) -> AsyncIterator[bytes]:
        """The body as it comes. Raises NoAnswer where it breaks off, TooSlow after `first` and then `idle` seconds
        without a piece."""
        stream = self._response.aiter_raw()
        patience = first
        while True:
            try:
                async with asyncio.timeout(patience):
                    piece = await anext(stream, None)
                    patience = idle
            except TimeoutError:
                raise TooSlow(f"nothing more within {patience:g} s") from None
            except httpx.TransportError as error:
                raise NoAnswer(f"broke off: {type(error).__name__}", sent=True) from error
            if piece is None:
                return
            yield piece

    async def whole(self, most: int, idle: float) -> bytes:
        """All of the body. Raises as `pieces`, and NoAnswer where it is longer than `most` bytes."""
        content = bytearray()
        async for piece in self.pieces(idle, idle):
            content += piece
            if len(content) > most:
                raise NoAnswer(f"an answer of more than {most} bytes", sent=True)
        return bytes(content)


class Client:
    """Asks upstreams; one for all requests of a process."""

    def __init__(self, settings: RouterSettings) -> None:
        self._connect = settings.connect_time
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=settings.connect_time),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=4.0),
            headers={"accept-encoding": "identity", "content-type": "application/json", "user-agent": "agentkit"},
            trust_env=False,
        )

    async def post(self, upstream: Upstream, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send JSON to `path` below the upstream's address, and give its answer once the head is here.

        Raises NoAnswer, or TooSlow after the upstream's timeout.
        """
        sent = dict(upstream.headers) | dict(headers)
        if upstream.api_key is not None:
            sent["authorization"] = f"Bearer {upstream.api_key}"
        request = self._http.build_request("POST", upstream.base_url + path, content=body, headers=sent)
        try:
            async with asyncio.timeout(upstream.timeout):
                return Reply(await self._http.send(request, stream=True))
        except TimeoutError:
            raise TooSlow(f"no answer within {upstream.timeout:g} s") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NoAnswer(f"cannot be reached: {type(error).__name__}", sent=False) from error
        except httpx.TransportError as error:
            raise NoAnswer(f"broke off: {type(error).__name__}", sent=True) from error

    async def close(self) -> None:
        await self._http.aclose()
