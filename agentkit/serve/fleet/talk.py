"""What a fleet asks of a vLLM server beside answers: adapters in and out, and log-probabilities.

None of these routes is reachable through the router.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from agentkit.errors import AdapterError, EngineError
from agentkit.serve.engine import Endpoint, authorization

_AT_ONCE = 4
"""Tokens that are asked for at the same time."""
_TIMEOUT = 120.0
"""Seconds; a prompt waits for its turn beside the requests of others."""


class Talk:
    """One server, asked under its key. An asynchronous context manager.

    Raises (all that ask):
        EngineError: it does not answer, or answers what is no answer.
    """

    def __init__(self, endpoint: Endpoint, timeout: float = _TIMEOUT) -> None:
        self.endpoint = endpoint
        self.client = httpx.AsyncClient(headers=authorization(endpoint), timeout=timeout, trust_env=False)

    async def __aenter__(self) -> Talk:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.aclose()

    async def load(self, name: str, folder: Path) -> None:
        """Load an adapter under its own name; one of that name must not be loaded.

        Raises:
            AdapterError: the server refuses it, with what it says.
        """
        answer = await self._post("/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
        if answer.status_code == 404:
            raise EngineError(f"{self.endpoint.base_url} loads no adapters (is it started with --enable-lora?)")
        if not answer.is_success:
            raise AdapterError(f"adapter {name}: the server refused it: {_said(answer)}")

    async def unload(self, name: str) -> None:
        """Take an adapter out; nothing happens where it is not loaded."""
        answer = await self._post("/unload_lora_adapter", {"lora_name": name})
        if not answer.is_success and answer.status_code not in (400, 404):
            raise EngineError(f"adapter {name} cannot be unloaded from {self.endpoint.base_url}: {_said(answer)}")

    async def models(self) -> list[str]:
        """What it serves: its model, and the adapters that are loaded."""
        try:
            answer = await self.client.get(f"{self.endpoint.base_url}/models")
        except httpx.TransportError as error:
            raise self._silent(error) from None
        return [str(it["id"]) for it in _json(answer)["data"]]

    async def log_probabilities(self, model: str, tokens: Sequence[int], start: int) -> list[float]:
        """Log-probability (nats) of each token from the index `start` on, given those before it.

        Asked token by token, each as the only one that may come next; what is given is of before that limit. All at
        once (`prompt_logprobs`) would end vLLM's CPU build where it answers others of an adapter at the same time.
        """
        few = asyncio.Semaphore(_AT_ONCE)

        async def one(place: int) -> float:
            async with few:
                return await self._log_probability(model, tokens[:place], tokens[place])

        return list(await asyncio.gather(*(one(place) for place in range(start, len(tokens)))))

    async def _log_probability(self, model: str, before: Sequence[int], token: int) -> float:
        body = {"model": model, "prompt": list(before), "max_tokens": 1, "temperature": 0, "logprobs": 0}
        found = _json(await self._post("/completions", {**body, "allowed_token_ids": [token]}))
        try:
            return float(found["choices"][0]["logprobs"]["token_logprobs"][0])
        except (KeyError, IndexError, TypeError, ValueError):
            raise EngineError(f"{self.endpoint.base_url}: gave no log-probability of a token") from None

    async def completions(self, model: str, body: Mapping[str, Any]) -> list[tuple[tuple[int, ...], bool]]:
        """The token ids of each answer to a request of `/completions`, the token that ends it included, and whether it
        came to its end."""
        found = _json(await self._post("/completions", {"model": model, **body, "return_token_ids": True}))
        try:
            choices = sorted(found["choices"], key=lambda it: it["index"])
            return [(tuple(map(int, it["token_ids"])), it["finish_reason"] == "stop") for it in choices]
        except (KeyError, TypeError, ValueError):
            raise EngineError(f"{self.endpoint.base_url}: gave no token ids of an answer") from None

    async def warm(self, model: str) -> None:
        """Have it write a few tokens, which it then does sooner for others."""
        body = {"model": model, "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0, "ignore_eos": True}
        _json(await self._post("/completions", body))

    async def _post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        try:
            return await self.client.post(f"{self.endpoint.base_url}{path}", json=body)
        except httpx.TransportError as error:
            raise self._silent(error) from None

    def _silent(self, error: httpx.TransportError) -> EngineError:
        return EngineError(f"{self.endpoint.base_url} does not answer: {error or type(error).__name__}")


def _json(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise EngineError(f"{answer.request.url}: {_said(answer)}")
    try:
        return answer.json()
    except ValueError:
        raise EngineError(f"{answer.request.url}: answered what is no JSON") from None


def _said(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        text = str(body.get("error", body).get("message", body))
    except (ValueError, AttributeError):
        text = answer.text
    return f"{answer.status_code}: {text[:300]}"
