"""Two real vLLM servers with the embedded model: a real adapter, one that vLLM loads and ignores, and `kill -9`."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from agentkit.errors import AdapterError
from agentkit.serve import Endpoint, EngineSettings, embedded_model
from agentkit.serve.adapter_folder import PROBE, AdapterFolder
from agentkit.serve.fleet import Fleet
from agentkit.serve.fleet.attestation import attest
from agentkit.serve.fleet.talk import Talk
from agentkit.serve.probe import probe_of
from agentkit.serve.upstream import Upstream
from tests.serve.fleet.conftest import BASE, adapter_target, until
from tests.serve.fleet.real_lora import real_adapter, renamed_adapter

pytestmark = pytest.mark.serve
SETTINGS = EngineSettings(max_model_len=1024, threads=1, max_loras=2, max_cpu_loras=3)
QUESTION = "What is the capital of France?"
STORY = [{"role": "user", "content": "Tell me a story about the sea."}]


@pytest.fixture(scope="module", autouse=True)
def _no_traces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.startswith("OTEL_")]:
            patch.delenv(variable)
        yield


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> AdapterFolder:
    return real_adapter(tmp_path_factory.mktemp("real"))


async def ask(upstream: Upstream, **body: Any) -> str:
    messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": QUESTION}]
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        answer = await client.post(
            f"{upstream.base_url}/chat/completions",
            headers={"Authorization": f"Bearer {upstream.api_key}"},
            json={"model": upstream.model, "messages": messages, "temperature": 0, "max_tokens": 12, **body},
        )
    answer.raise_for_status()
    return str(answer.json()["choices"][0]["message"]["content"])


def server_of(upstream: Upstream) -> int:
    """The process that listens where an upstream is."""
    port = upstream.base_url.removesuffix("/v1").rpartition(":")[2]
    mine = psutil.Process().children(recursive=True)
    (found,) = [it for it in mine if "vllm" in " ".join(it.cmdline()[:6]) and _has(it, "--port", port, "api_server")]
    return int(found.pid)


def _has(process: psutil.Process, option: str, value: str, module: str) -> bool:
    words = process.cmdline()
    return option in words and words[words.index(option) + 1] == value and not words[2].endswith("keeper.py")


async def test_adapters_are_attested_and_killed_servers_come_again(adapter: AdapterFolder, tmp_path: Path) -> None:
    said: list[str] = []
    target = adapter_target(adapter.name)
    async with Fleet(embedded_model(), name="tiny", replicas=2, settings=SETTINGS, on_progress=said.append) as fleet:
        await until(lambda: len(fleet.serving(BASE)) == 2, 240)
        async with busy(fleet.serving(BASE)):
            await fleet.load(adapter)
        assert len(fleet.serving(target)) == 2
        assert [it.restarts for it in fleet.replicas] == [0, 0], "others are answered meanwhile, and it harms none"
        assert "Paris" in await ask(fleet.serving(BASE)[0])
        plain = await ask(fleet.serving(BASE)[0], messages=STORY, max_tokens=24)
        assert await ask(fleet.serving(target)[0], messages=STORY, max_tokens=24) != plain
        await refuses_what_is_ignored(fleet, tmp_path, adapter)
        await is_up_without_one(fleet, adapter)
        await fleet.swap([adapter])
        (merged,) = fleet.serving(target)
        assert (merged.name, merged.model) == ("merged-1", f"tiny+{adapter.name}")
        assert await ask(merged, messages=STORY, max_tokens=24) != plain
    print("\n".join(said))


@asynccontextmanager
async def busy(upstreams: Sequence[Upstream]) -> AsyncIterator[None]:
    """Each has three requests to answer at any time."""

    async def go_on(upstream: Upstream) -> None:
        while True:
            await ask(upstream, messages=STORY, max_tokens=24)

    tasks = [asyncio.create_task(go_on(it)) for it in upstreams for _ in range(3)]
    try:
        yield
        failed = [task.exception() for task in tasks if task.done()]
        assert failed == []
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def refuses_what_is_ignored(fleet: Fleet, tmp_path: Path, adapter: AdapterFolder) -> None:
    """vLLM serves the base model under the name of an adapter of which no module is the model's."""
    renamed = renamed_adapter(tmp_path, adapter.path / PROBE)
    with pytest.raises(AdapterError, match="the base model has no such module"):
        await fleet.load(renamed)
    upstream = fleet.serving(BASE)[0]
    async with Talk(Endpoint(upstream.base_url, upstream.model, upstream.api_key or "")) as talk:
        await talk.load(renamed.name, renamed.path)
        same = Upstream("", upstream.base_url, renamed.name, upstream.api_key)
        assert await ask(same) == await ask(upstream), "vLLM said it was loaded"
        with pytest.raises(AdapterError, match="answers exactly as the base model does"):
            await attest(talk, renamed.name, probe_of(renamed, embedded_model()), "tiny")
        await talk.unload(renamed.name)
    assert not fleet.serving(adapter_target(renamed.name))


async def is_up_without_one(fleet: Fleet, adapter: AdapterFolder) -> None:
    """Killed, a server comes again, with the adapter attested anew; meanwhile the other answers."""
    dead, other = fleet.serving(BASE)
    os.kill(server_of(dead), signal.SIGKILL)
    await until(lambda: dead not in fleet.serving(BASE))
    answered = 0
    while len(fleet.serving(adapter_target(adapter.name))) < 2:
        assert fleet.serving(BASE)[-1] == other
        assert "Paris" in await ask(fleet.serving(BASE)[-1])
        answered += 1
    assert answered
    again = fleet.serving(BASE)[0]
    assert again.name == dead.name
    assert again.base_url != dead.base_url
    assert fleet.replicas[0].restarts == 1
    assert fleet.replicas[1].restarts == 0


async def test_a_seed_gives_the_same_answer_again_and_many_do_no_harm() -> None:
    """Also where there is more to read than fits one step, which made vLLM read a prompt in pieces, and die."""
    long = " ".join(f"Item {number} costs {number * 7} euros." for number in range(150))
    async with Fleet(embedded_model(), name="tiny", settings=EngineSettings()) as fleet:
        (upstream,) = fleet.serving(BASE)

        async def one(place: int) -> str:
            messages = [{"role": "user", "content": f"{place}. {long} Tell me a story."}]
            return await ask(upstream, messages=messages, temperature=1, seed=11 + place, max_tokens=16)

        assert all(await asyncio.gather(*(one(place) for place in range(6))))
        first = [await one(place) for place in range(2)]
        assert [await one(place) for place in range(2)] == first
        assert first[0] != first[1]
