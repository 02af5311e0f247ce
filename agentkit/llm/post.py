"""Bytes sent to one URL until they are answered: what every request to a model or to an agent's endpoint shares."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from agentkit.errors import ProviderError
from agentkit.llm.budget import Budget
from agentkit.llm.planted import Exchange
from agentkit.llm.retry import AttemptFailed, Patience, Retries, kind_of, retry_after
from agentkit.llm.throttle import Clock, Throttle, shared_throttle
from agentkit.llm.wire import error_message
from agentkit.redact import redact

MAX_BODY = 8 * 2**20
"""Bytes of the longest answer that is read; a longer one is a protocol error."""
_READ = 64 * 2**10
"""Bytes of a refusal in which its message is looked for."""
_SHOWN = 300
"""Characters of a server's message that are shown."""


@dataclass(frozen=True, slots=True)
class Posted:
    """An answer, as it came."""

    content: bytes
    attempts: int
    """Requests that went on the wire for it."""
    latency: float
    """Seconds from the request to the whole answer, retries included."""
    failures: tuple[str, ...] = ()
    """Kinds of the attempts that failed before."""


class Post:
    """Asks one endpoint, and asks again where that may help.

    `name` says in messages who is asked, `url` where; both are shown, while `secrets` are taken out of whatever is.
    `timeout` (seconds) covers one attempt to its last byte. Every attempt counts in `budget`. `transport` is what lies
    below the retries.
    """

    def __init__(
        self,
        name: str,
        url: httpx.URL,
        *,
        headers: Mapping[str, str],
        timeout: float,
        secrets: Iterable[str] = (),
        retries: Retries | None = None,
        budget: Budget | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self._timeout = timeout
        self._secrets = tuple(secrets)
        self._retries = retries or Retries()
        self._budget = budget
        self._clock = clock or Clock()
        self._throttle = throttle
        self._client = httpx.AsyncClient(
            headers=headers,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # None: conversations share this client.
            timeout=None,  # Each attempt has one for the whole of it.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
            transport=transport,
            # A server on this machine is never behind the proxy that the environment names.
            trust_env=url.host not in ("127.0.0.1", "localhost", "::1"),
        )

    async def send(
        self,
        body: bytes,
        *,
        headers: Mapping[str, str | None] | None = None,
        method: str = "POST",
        exchange: Exchange | None = None,
    ) -> Posted:
        """Send `body`, which is JSON, until there is an answer of success; those `headers` go along that have a value.

        A planted `exchange` answers every attempt but the last that the retries allow.

        Raises:
            ProviderError: there is none, and either the retries are used up or asking again cannot help (kinds
                `rejected` and `protocol`).
            BudgetExhausted: a hard limit forbids asking.
        """
        if self._throttle is None:
            self._throttle = shared_throttle(f"{self.url.scheme}://{self.url.netloc.decode()}")
        request = self._client.build_request(method, self.url, content=body)
        request.headers.setdefault("content-type", "application/json")
        request.headers.update({name: value for name, value in (headers or {}).items() if value})
        patience = Patience(self._retries, self._clock, self._throttle)
        started = self._clock.now()
        try:
            content = await patience.persist(lambda: self._attempt(request, patience, exchange))
        except AttemptFailed as failure:
            raise self.error(failure.kind, str(failure), patience.attempts, failure.status) from failure
        return Posted(content, patience.attempts, self._clock.now() - started, tuple(patience.failures))

    def error(self, kind: str, message: str, attempts: int, status: int | None = None) -> ProviderError:
        """What `send` raises; also for whoever can make nothing of an answer."""
        count = f"{attempts} attempt{'s' if attempts != 1 else ''}"
        return ProviderError(kind, f"{self.name} at {self.url}: {self._shown(message)} ({count})", status=status)

    async def close(self) -> None:
        """Give connections back; nothing can be sent any more."""
        await self._client.aclose()

    async def _attempt(self, request: httpx.Request, patience: Patience, exchange: Exchange | None) -> bytes:
        async with patience.attempt():
            before, patience.attempts = patience.attempts, patience.attempts + 1
            patience.planted = exchange is not None and patience.attempts < self._retries.attempts
            try:
                async with asyncio.timeout(self._timeout):
                    if exchange is not None and patience.planted:
                        return await self._read(await exchange(request, self._sent, before))
                    return await self._read(await self._sent(request))
            except (TimeoutError, httpx.TimeoutException) as error:
                raise self._failed("timeout", f"no whole answer within {self._timeout:g} s") from error
            except httpx.DecodingError as error:
                raise self._failed("protocol", f"cannot unpack the answer: {error}", again=False) from error
            except httpx.TransportError as error:
                raise self._failed("connection", f"{type(error).__name__}: {error}") from error

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        """The answer to one request that goes on the wire, its body still to be read."""
        if self._budget is not None:
            self._budget.reserve()
        return await self._client.send(request, stream=True)

    async def _read(self, answer: httpx.Response) -> bytes:
        """The body of an answer. Raises AttemptFailed for any status but success."""
        async with aclosing(answer) as response:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_BODY:
                    raise self._failed("protocol", f"an answer of more than {MAX_BODY} bytes", again=False)
        if response.is_success:
            return bytes(content)
        raise self._refused(response, bytes(content[:_READ]))

    def _refused(self, response: httpx.Response, content: bytes) -> AttemptFailed:
        kind, again = kind_of(response.status_code)
        if b"insufficient_quota" in content:  # OpenAI's word for no money left, under 429.
            kind, again = "rejected", False
        said = error_message(content) or response.headers.get("location") or response.reason_phrase
        return self._failed(
            kind,
            f"HTTP {response.status_code}: {said}",
            status=response.status_code,
            again=again,
            retry_after=retry_after(response.headers, self._clock.wall()),
        )

    def _failed(self, kind: str, message: str, **details: Any) -> AttemptFailed:
        return AttemptFailed(kind, self._shown(message), **details)

    def _shown(self, message: str) -> str:
        """`message` fit to be shown: no secrets, no control characters, not long."""
        plain = "".join(char if char.isprintable() else " " for char in redact(message, self._secrets))
        shown = " ".join(plain.split())
        return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
