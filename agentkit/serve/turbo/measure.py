"""Tokens a second of one server on given traffic, one request at a time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from agentkit.errors import EngineError
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.command import EngineSettings
from agentkit.serve.fleet.server import Maker, StartedServer
from agentkit.serve.fleet.talk import Talk
from agentkit.serve.turbo.traffic import Sample

_LONGEST = 512
"""Tokens of an answer that are written at most."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One request."""

    tokens: int
    """That were written."""
    seconds: float
    """From the request to the last byte."""
    writing: float
    """Seconds of these from the first token on."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one server, over all requests."""

    requests: tuple[Timed, ...]

    @property
    def tokens_per_second(self) -> float:
        """Prompts and all."""
        return sum(it.tokens for it in self.requests) / sum(it.seconds for it in self.requests)

    @property
    def writing(self) -> float:
        """Tokens a second once the first is there."""
        spent = sum(it.writing for it in self.requests)
        return sum(it.tokens - 1 for it in self.requests) / spent if spent else 0.0


async def speed(
    model: Path | str,
    name: str,
    settings: EngineSettings,
    samples: Sequence[Sample],
    adapter: AdapterFolder | None,
    maker: Maker = StartedServer,
    *,
    earlier: Sequence[Sample] = (),
) -> Speed:
    """Start a server, have it write every answer of the traffic, and stop it.

    `earlier`: traffic that it has answered before, as one that has been up for a while; this is not measured.

    Each answer is the recorded one, which the grammar forces: so the same tokens are written whatever the server, and
    speculation guesses right as often as it would on this traffic.

    Raises:
        EngineError: the server did not come up or did not answer.
        AdapterError: it refused the adapter.
    """
    server = maker(model, name, settings)
    endpoint = await server.start()
    try:
        async with Talk(endpoint, timeout=600.0) as talk:
            if adapter is not None:
                await talk.load(adapter.name, adapter.path)
            asked = name if adapter is None else adapter.name
            await talk.warm(asked)
            timed = partial(_timed, talk, asked, settings.max_model_len)
            await timed(samples[0])  # the first grammar takes longer than the others
            await asyncio.gather(*map(timed, earlier))
            return Speed(tuple([await timed(sample) for sample in samples]))
    except httpx.TransportError as error:
        raise EngineError(f"{endpoint.base_url} does not answer: {str(error) or type(error).__name__}") from None
    finally:
        await server.stop()


async def _timed(talk: Talk, model: str, room: int, sample: Sample) -> Timed:
    """`room`: tokens that a server has for a prompt and its answer; it refuses what may need more."""
    prompt = await tokens_of(talk, sample.request)
    body = {
        "model": model,
        "prompt": prompt,
        "max_tokens": max(1, min(_LONGEST, room - len(prompt))),
        "temperature": 0,
        "structured_outputs": {"choice": [sample.answer]},
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    begin = time.perf_counter()
    first, tokens = 0.0, 0
    async with talk.client.stream("POST", f"{talk.endpoint.base_url}/completions", json=body) as answer:
        if not answer.is_success:
            said = (await answer.aread()).decode(errors="replace")
            raise EngineError(f"{talk.endpoint.base_url}: {answer.status_code}: {said[:300]}")
        async for line in answer.aiter_lines():
            piece = _piece(line)
            if piece.get("choices") and not first:
                first = time.perf_counter()
            if usage := piece.get("usage"):
                tokens = int(usage["completion_tokens"])
    end = time.perf_counter()
    if not tokens:
        raise EngineError(f"{talk.endpoint.base_url}: an answer broke off")
    return Timed(tokens, end - begin, end - (first or end))


def _piece(line: str) -> Mapping[str, Any]:
    if not line.startswith("data: {"):
        return {}
    found: dict[str, Any] = json.loads(line.removeprefix("data: "))
    return found


async def tokens_of(talk: Talk, request: Mapping[str, Any]) -> list[int]:
    """The prompt of a request as the server reads it."""
    url = f"{talk.endpoint.base_url.removesuffix('/v1')}/tokenize"
    answer = await talk.client.post(url, json={**request, "add_generation_prompt": True})
    if not answer.is_success:
        raise EngineError(f"{url}: {answer.status_code}: {answer.text[:300]}")
    return [int(it) for it in answer.json()["tokens"]]
