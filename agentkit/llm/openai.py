"""A chat model behind any OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

import httpx

from agentkit.errors import ConfigError, ProviderError, near_match
from agentkit.llm.budget import Budget
from agentkit.llm.chat import ChatRequest, ChatResponse
from agentkit.llm.prices import Price
from agentkit.llm.retry import AttemptFailed, Patience, Retries, kind_of, retry_after
from agentkit.llm.throttle import Clock, Throttle, shared_throttle
from agentkit.llm.wire import Answer, Malformed, decode, dump, encode, error_message
from agentkit.records import ModelCall
from agentkit.redact import is_secret_name, redact

MAX_BODY = 8 * 2**20
"""Bytes of the longest answer that is read; a longer one is a protocol error."""
_READ = 64 * 2**10
"""Bytes of a refusal in which its message is looked for."""
_SHOWN = 300
"""Characters of a server's message that are shown."""
_INSTEAD = "keep the secret in an environment variable, and name that in api_key_env"


class OpenAIChat:
    """Asks `model` at `base_url` (the part before `/chat/completions`), and asks again where that may help.

    The key is the value of the environment variable that `api_key_env` names, sent as `Authorization: Bearer`
    or bare in another `api_key_header`. `timeout` (seconds) covers one attempt to its last byte.
    Every attempt counts in `budget`. `transport` is what lies below the retries.

    Raises ConfigError for settings that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str | None = None,
        api_key_header: str = "Authorization",
        headers: Mapping[str, str] | None = None,
        provider: str = "openai",
        timeout: float = 120.0,
        retries: Retries | None = None,
        budget: Budget | None = None,
        price: Price | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        self._url = _endpoint(base_url)
        self._key = _api_key(api_key_env)
        if budget is not None:
            budget.admit(model, price)
        self.name = model
        self.provider = provider
        self._timeout = timeout
        self._retries = retries or Retries()
        self._budget = budget
        self._price = price
        self._clock = clock or Clock()
        self._throttle = throttle
        self._client = httpx.AsyncClient(
            headers=_headers(headers or {}, api_key_header, self._key),
            timeout=None,  # Each attempt has one for the whole of it.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
            transport=transport,
            # A server on this machine is never behind the proxy that the environment names.
            trust_env=self._url.host not in ("127.0.0.1", "localhost", "::1"),
        )

    def __repr__(self) -> str:
        return f"OpenAIChat({str(self._url)!r}, {self.name!r})"

    async def complete(self, request: ChatRequest) -> ChatResponse:
        body = dump(encode(request, self.name))
        if self._throttle is None:
            self._throttle = shared_throttle(f"{self._url.scheme}://{self._url.netloc.decode()}")
        patience = Patience(self._retries, self._clock, self._throttle)
        started = self._clock.now()
        try:
            answer = await patience.persist(lambda: self._attempt(request, body, patience))
        except AttemptFailed as failure:
            attempts = f"{patience.attempts} attempt{'s' if patience.attempts != 1 else ''}"
            message = f"{self.name} at {self._url}: {failure} ({attempts})"
            raise ProviderError(failure.kind, message, status=failure.status) from failure
        cost = self._cost(answer)
        if self._budget is not None:
            self._budget.spend(answer.usage, cost)
        call = ModelCall(
            model=answer.model or self.name,
            usage=answer.usage,
            cost=cost,
            latency=self._clock.now() - started,
            attempts=patience.attempts,
            finish_reason=answer.finish_reason,
            response_id=answer.response_id,
        )
        return ChatResponse(answer.content, call, answer.tool_calls, answer.reasoning)

    async def close(self) -> None:
        await self._client.aclose()

    async def _attempt(self, request: ChatRequest, body: bytes, patience: Patience) -> Answer:
        async with patience.attempt():
            if self._budget is not None:
                self._budget.reserve()
            patience.attempts += 1
            try:
                async with asyncio.timeout(self._timeout):
                    content = await self._post(body, request.traceparent)
            except (TimeoutError, httpx.TimeoutException) as error:
                raise self._failed("timeout", f"no whole answer within {self._timeout:g} s") from error
            except httpx.DecodingError as error:
                raise self._failed("protocol", f"cannot unpack the answer: {error}", again=False) from error
            except httpx.TransportError as error:
                raise self._failed("connection", f"{type(error).__name__}: {error}") from error
        try:
            return decode(content, request)
        except Malformed as error:
            raise self._failed("protocol", str(error), again=False) from error

    async def _post(self, body: bytes, traceparent: str | None) -> bytes:
        """Send one request and read its answer. Raises AttemptFailed for any status but success."""
        headers = {"content-type": "application/json"} | ({"traceparent": traceparent} if traceparent else {})
        async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
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
        """A failure whose message is fit to be shown: no secrets, no control characters, not long."""
        plain = "".join(char if char.isprintable() else " " for char in redact(message, (self._key or "",)))
        shown = " ".join(plain.split())
        return AttemptFailed(kind, shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…", **details)

    def _cost(self, answer: Answer) -> float | None:
        if self._price is not None and self._price.free:
            return 0.0
        return self._price.cost(answer.usage) if self._price is not None and answer.counted else None


def _endpoint(base_url: str) -> httpx.URL:
    """Where requests go. Whatever in a URL may be a secret is refused, because URLs are shown and stored."""
    path = "/chat/completions"
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigError(f"base_url: not a URL: {error}") from None
    if url.userinfo or any(is_secret_name(name) or name == "key" for name in url.params):
        raise ConfigError(f"base_url: holds a user, password or key; {_INSTEAD}")
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"base_url: found {base_url!r}, expected a URL such as http://127.0.0.1:8000/v1")
    if url.path.rstrip("/").endswith(path):
        raise ConfigError(f"base_url: found {base_url!r}, expected the part before {path}")
    return url.copy_with(path=url.path.rstrip("/") + path)


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        near = near_match(variable, (name for name in os.environ if is_secret_name(name)))
        raise ConfigError(f"api_key_env: the environment variable {variable!r} is not set{near}")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"api_key_env: the value of {variable!r} holds characters that no key has")
    return key


def _headers(headers: Mapping[str, str], key_header: str, key: str | None) -> dict[str, str]:
    for name in headers:
        if is_secret_name(name):
            raise ConfigError(f"headers: {name!r} is a secret; {_INSTEAD}")
    if key is None:
        return dict(headers)
    return {**headers, key_header: f"Bearer {key}" if key_header.lower() == "authorization" else key}
