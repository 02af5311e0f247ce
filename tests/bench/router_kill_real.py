"""`kill -9` of two real vLLM replicas in turn, each kill waiting until both are ready: what is lost (see README.md)."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

import httpx
import psutil
import uvloop

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from router_kill import Tally, ask, lines  # noqa: E402
from router_load import project, until_up  # noqa: E402

from agentkit.serve.router.client import Client  # noqa: E402
from agentkit.serve.upstream import Upstream  # noqa: E402

SETTINGS = "[tool.agentkit.serve.engines]\nreplicas = 2\nlive_adapters = 0\nmax_model_len = 1024\n"
_SERVER = "vllm.entrypoints"


def servers(router: int) -> list[psutil.Process]:
    """The vLLM servers below a router, oldest first; the keepers between are none."""
    below = psutil.Process(router).children(recursive=True)
    found = [it for it in below if _SERVER in " ".join(it.cmdline()) and "keeper.py" not in " ".join(it.cmdline())]
    return sorted(found, key=lambda it: it.create_time())


def kill(server: psutil.Process) -> None:
    """The server and all that it started."""
    for process in [*server.children(recursive=True), server]:
        process.kill()


async def until_both(url: str, seconds: float) -> None:
    """Until the router says that two upstreams serve the base model."""
    async with httpx.AsyncClient(trust_env=False) as client:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = (await client.get(f"{url}/readyz")).json()
            if found.get("serving", {}).get("base", 0) >= 2:
                return
            await asyncio.sleep(0.5)
    raise SystemExit(f"no two replicas within {seconds:.0f} s")


async def measure(kills: int, rate: float) -> tuple[Tally, float]:
    tally, client, tasks = Tally(), Client(5.0), list[asyncio.Task[None]]()
    with project((), settings=SETTINGS) as (url, key, process):
        await until_up(url, "/readyz", 400)
        await until_both(url, 300)
        router = Upstream("it", f"{url}/v1", "x", api_key=key, timeout=300)
        over = asyncio.Event()

        async def killing() -> None:
            for number in range(kills):
                await asyncio.sleep(8)
                found = servers(process.pid)
                kill(found[0])  # the one that has run longest: in turn
                tally.kills += 1
                print(f"kill {number + 1}", flush=True)
                await asyncio.sleep(2)
                await until_both(url, 300)
            await asyncio.sleep(5)
            over.set()

        killer, began = asyncio.create_task(killing()), time.perf_counter()
        while not over.is_set() and not killer.done():
            tasks.append(asyncio.create_task(ask(client, router, len(tasks), tally, max_tokens=24)))
            await asyncio.sleep(1 / rate)
        await killer
        await asyncio.gather(*tasks)
        seconds = time.perf_counter() - began
    tally.lost = +tally.lost
    return tally, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--check", action="store_true", help="exit status 1 where something was lost")
    given = parser.parse_args()
    tally, seconds = uvloop.run(measure(given.kills, given.rate))
    print(
        f"Router before two real vLLM replicas, {given.rate:g} requests/s for {seconds:.0f} s, killed with -9 in turn"
    )
    print("\n".join(lines(tally)))
    if given.check and (tally.lost or tally.mute):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
