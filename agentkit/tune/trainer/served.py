"""Completions that a vLLM server writes, with the adapter as each update leaves it.

Meant for GPUs and long answers; how much sooner they come was not measured. The adapter is loaded while the
server runs and applied to requests as they come, not merged and rounded: close to what will be served, not the same.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from agentkit.errors import UsageError
from agentkit.serve import Endpoint
from agentkit.serve.fleet.talk import Talk
from agentkit.tune.phase import ROLLOUT_KEY, ROLLOUT_URL
from agentkit.tune.trainer.generate import Completion, Decoding, Write
from agentkit.tune.trainer.grammar import Schema
from agentkit.tune.trainer.model import Trainee
from agentkit.tune.trainer.ranks import Ranks
from agentkit.tune.trainer.watch import save_adapter

_NAME = "rollout-{step}"
_TIMEOUT = 3600.0
"""Seconds that an update's completions may take."""


class Server:
    """A server of the base model that loads adapters while it runs.

    Args:
        folder: where adapters are written for it; both see it under this path.
        ranks: the first of the processes that train together loads them, and all ask.
    """

    def __init__(self, url: str, key: str, trainee: Trainee, folder: Path, ranks: Ranks) -> None:
        self._endpoint = Endpoint(url, "", key)
        self._trainee = trainee
        self._folder = folder.absolute()
        self._ranks = ranks
        self._step: int | None = None

    @classmethod
    @contextmanager
    def of_environment(cls, trainee: Trainee, folder: Path, ranks: Ranks) -> Iterator[Server]:
        """The server that the environment names; what was written for it is gone at the end.

        Raises:
            UsageError: the environment names none.
        """
        url = os.environ.get(ROLLOUT_URL, "")
        if not url.endswith("/v1"):
            raise UsageError(
                f"{ROLLOUT_URL}: found {url!r}, expected the URL, ending in /v1, of a vLLM server of the base model "
                "that loads adapters while it runs (--enable-lora, VLLM_ALLOW_RUNTIME_LORA_UPDATING=1)"
            )
        server = cls(url, os.environ.get(ROLLOUT_KEY, ""), trainee, folder, ranks)
        try:
            yield server
        finally:
            if ranks.first:
                for left in folder.glob(_NAME.format(step="*")):
                    shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def after(self, step: int) -> Iterator[Write]:
        """What writes as the model does after so many updates. Raises EngineError or AdapterError where it cannot."""
        if step != self._step:
            self._ranks.agreed(lambda: self._load(step))
            self._step = step
        yield partial(self._write, _NAME.format(step=step))

    def _load(self, step: int) -> None:
        former = None if self._step is None else _NAME.format(step=self._step)
        name = _NAME.format(step=step)
        save_adapter(self._trainee, self._folder / name)

        async def load() -> None:
            async with Talk(self._endpoint) as talk:
                for it in dict.fromkeys((former or name, name)):  # the latter where a training is taken up
                    await talk.unload(it)
                await talk.load(name, self._folder / name)

        asyncio.run(load())
        if former is not None:
            shutil.rmtree(self._folder / former, ignore_errors=True)

    def _write(
        self,
        name: str,
        prompts: Sequence[Sequence[int]],
        schemas: Sequence[Schema],
        samples: int,
        decoding: Decoding,
        seed: int,
    ) -> list[list[Completion]]:
        async def write() -> list[list[Completion]]:
            async with Talk(self._endpoint, _TIMEOUT) as talk:
                asked = zip(prompts, schemas, strict=True)
                return await asyncio.gather(
                    *(self._group(talk, name, *it, samples, decoding, seed + place) for place, it in enumerate(asked))
                )

        return asyncio.run(write())

    async def _group(
        self, talk: Talk, name: str, prompt: Sequence[int], schema: Schema, samples: int, decoding: Decoding, seed: int
    ) -> list[Completion]:
        body = {
            "prompt": list(prompt),
            "n": samples,
            "temperature": decoding.temperature,
            "max_tokens": decoding.max_tokens,
            "frequency_penalty": decoding.frequency_penalty,
            "seed": seed,
        }
        held = {} if schema is None else {"structured_outputs": {"json": schema}}
        answers = await talk.completions(name, body | held)
        grammars = self._trainee.generator.grammars
        return [Completion(ids, grammars.free(schema, ids), (), finished) for ids, finished in answers]
