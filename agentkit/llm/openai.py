"""A chat model behind any OpenAI-compatible endpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

import httpx

from agentkit.config import Endpoint
from agentkit.errors import ConfigError, near_match
from agentkit.llm.budget import Budget
from agentkit.llm.chat import ChatRequest, ChatResponse
from agentkit.llm.endpoint import checked_headers, checked_url
from agentkit.llm.planted import planted_exchange
from agentkit.llm.post import Post
from agentkit.llm.prices import Price, Prices, known_cost
from agentkit.llm.retry import Retries
from agentkit.llm.throttle import Clock, Throttle
from agentkit.llm.wire import Malformed, decode, dump, encode
from agentkit.records import ModelCall, Usage
from agentkit.redact import is_secret_name, names_variable

_SECRETS_GO = "api_key_env"


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
        url, key = _endpoint(base_url), _api_key(api_key_env)
        sent = checked_headers(headers or {}, "headers", _SECRETS_GO)
        if key is not None:
            sent[api_key_header] = f"Bearer {key}" if api_key_header.lower() == "authorization" else key
        if budget is not None:
            budget.admit(model, price)
        self.name = model
        self.provider = provider
        self._budget = budget
        self._price = price
        self._post = Post(
            model,
            url,
            headers=sent,
            secrets=() if key is None else (key,),
            timeout=timeout,
            retries=retries,
            budget=budget,
            transport=transport,
            clock=clock,
            throttle=throttle,
        )

    @classmethod
    def at(cls, endpoint: Endpoint, *, budget: Budget, prices: Prices) -> Self:
        """The model of an endpoint as it is configured. Raises ConfigError for settings that cannot be used."""
        return cls(
            endpoint.base_url,
            endpoint.model,
            api_key_env=endpoint.api_key_env,
            headers=endpoint.headers,
            timeout=endpoint.timeout,
            retries=Retries(total=endpoint.retry_for),
            budget=budget,
            price=prices.find(endpoint.model),
        )

    def __repr__(self) -> str:
        return f"OpenAIChat({str(self._post.url)!r}, {self.name!r})"

    async def complete(self, request: ChatRequest) -> ChatResponse:
        body = dump(encode(request, self.name))
        headers = {"traceparent": request.traceparent, "X-Conversation-Id": request.conversation}
        posted = await self._post.send(body, headers=headers, exchange=planted_exchange())
        try:
            answer = decode(posted.content, request)
        except Malformed as error:
            if error.usage is not None:
                self._spend(error.usage, error.counted)
            raise self._post.error("protocol", str(error), posted.attempts) from None
        cost = self._spend(answer.usage, answer.counted)
        call = ModelCall(
            model=answer.model or self.name,
            usage=answer.usage,
            cost=cost,
            latency=posted.latency,
            attempts=posted.attempts,
            finish_reason=answer.finish_reason,
            response_id=answer.response_id,
            failures=posted.failures,
        )
        return ChatResponse(answer.content, call, answer.tool_calls, answer.reasoning)

    async def close(self) -> None:
        await self._post.close()

    def _spend(self, usage: Usage, counted: bool) -> float | None:
        """Count what an answer took, and say what it cost."""
        cost = known_cost(self._price, usage if counted else None)
        if self._budget is not None:
            self._budget.spend(usage, cost)
        return cost


def _endpoint(base_url: str) -> httpx.URL:
    """Where requests go."""
    path = "/chat/completions"
    url = checked_url(base_url, "base_url", _SECRETS_GO)
    if url.path.rstrip("/").endswith(path):
        raise ConfigError(f"base_url: found {base_url!r}, expected the part before {path}")
    return url.copy_with(path=url.path.rstrip("/") + path)


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        if not names_variable(variable):
            raise ConfigError(
                "api_key_env: found what is no name of an environment variable, expected that of the one with the key"
            )
        near = near_match(variable, (name for name in os.environ if is_secret_name(name)))
        raise ConfigError(f"api_key_env: the environment variable {variable!r} is not set{near}")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"api_key_env: the value of {variable!r} holds characters that no key has")
    return key
