"""Answers kept by content, so that a judge asked the same thing twice is asked once."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

import orjson

from agentkit.llm.chat import ChatModel, ChatRequest, ChatResponse
from agentkit.llm.wire import dump, encode
from agentkit.records import ModelCall, ToolCall


class Cache(Protocol):
    """Where answers are kept."""

    def get(self, key: str) -> str | None:
        """What was put under `key`, else None."""

    def put(self, key: str, value: str) -> None:
        """Keep `value` under `key`; an older one is replaced."""


def cache_key(request: ChatRequest, model: ChatModel) -> str:
    """SHA-256, in hexadecimal, of everything in the request that can change the answer, and of the model."""
    digest = sha256(f"{model.provider}\0".encode())
    digest.update(dump(encode(request, model.name), canonical=True))
    return digest.hexdigest()


class CachedChat:
    """Asks `model` only what `cache` does not hold, and keeps the answers that `keep` calls usable.

    An answer from the cache says so: no attempts, no tokens, no cost.
    """

    def __init__(self, model: ChatModel, cache: Cache, *, keep: Callable[[ChatResponse], bool]) -> None:
        self._model = model
        self._cache = cache
        self._keep = keep

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def provider(self) -> str:
        return self._model.provider

    async def complete(self, request: ChatRequest) -> ChatResponse:
        key = cache_key(request, self._model)
        kept = self._cache.get(key)
        if kept is not None:
            return _load(kept)
        response = await self._model.complete(request)
        if self._keep(response):
            self._cache.put(key, orjson.dumps(response).decode())
        return response

    async def close(self) -> None:
        await self._model.close()


def _load(kept: str) -> ChatResponse:
    data = orjson.loads(kept)
    call = data["call"]
    return ChatResponse(
        content=data["content"],
        call=ModelCall(
            model=call["model"],
            cost=0.0,
            attempts=0,
            finish_reason=call["finish_reason"],
            response_id=call["response_id"],
        ),
        tool_calls=tuple(ToolCall(**entry) for entry in data["tool_calls"]),
        reasoning=data["reasoning"],
    )
