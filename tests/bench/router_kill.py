"""`kill -9` of one of two upstreams again and again under a steady load: what is lost (see README.md)."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from router_load import Instants, free_port, project, until_up  # noqa: E402

from agentkit.serve.router.client import Client, NoAnswer, TooSlow  # noqa: E402
from agentkit.serve.upstream import Upstream  # noqa: E402

_AWAY = 0.5
"""Seconds that a killed upstream is away."""


_ROOM = "[tool.agentkit.serve.router]\nin_flight = 256\n"
"""What is lost is looked for here; what is turned away for want of room is another matter."""


@dataclass
class Tally:
    """What became of the requests. `lost` must stay empty."""

    answered: int = 0
    streamed: int = 0
    broken: int = 0
    """Streams that had begun, broke, and ended with an `error` event."""
    mute: int = 0
    """Streams that had begun, and ended without a word."""
    lost: Counter[str] = field(default_factory=Counter)
    """Requests that had not begun to stream and got no answer, by what they got."""
    kills: int = 0
    slowest: float = 0.0

    @property
    def asked(self) -> int:
        return self.answered + self.streamed + self.broken + self.mute + sum(self.lost.values())


async def ask(client: Client, router: Upstream, number: int, tally: Tally, *, max_tokens: int = 100) -> None:
    stream = number % 2 == 1
    body = json.dumps(
        {
            "model": "pos/refund",
            "stream": stream,
            "max_tokens": max_tokens,
            "metadata": {"conversation_id": f"c-{number // 4}"},
            "messages": [{"role": "user", "content": f"question {number}"}],
        }
    ).encode()
    began, said = time.perf_counter(), b""
    try:
        async with await client.post(router, "/chat/completions", body, {}) as reply:
            if reply.status != 200:
                tally.lost[f"HTTP {reply.status}: {(await reply.whole(2**20, 60))[:200].decode()}"] += 1
                return
            with suppress(NoAnswer, TooSlow):
                async for piece in reply.pieces(60, 60):
                    said += piece
    except (NoAnswer, TooSlow) as error:
        tally.lost[str(error)] += 1
        return
    finally:
        tally.slowest = max(tally.slowest, time.perf_counter() - began)
    if not stream:
        whole = said.endswith(b"}") and b'"choices"' in said
        tally.answered += whole
        tally.lost["a cut answer"] += not whole
    elif said.endswith(b"data: [DONE]\n\n"):
        tally.streamed += 1
    elif b"event: error\ndata: " in said:
        tally.broken += 1
    else:
        tally.mute += 1


async def measure(seconds: float, rate: float, every: float) -> Tally:
    ports = [free_port(), free_port()]
    tally, client = Tally(), Client(5.0)
    with Instants() as instants:
        for port in ports:
            instants.start(port, 0.03)
            await until_up(f"http://127.0.0.1:{port}", "/health")
        with project(ports, _ROOM) as (url, key, _):
            await until_up(url, "/readyz")
            router = Upstream("it", f"{url}/v1", "x", api_key=key)

            async def killing() -> None:
                while True:
                    await asyncio.sleep(every - _AWAY)
                    port = ports[tally.kills % 2]
                    instants.kill(port)
                    tally.kills += 1
                    await asyncio.sleep(_AWAY)
                    instants.start(port, 0.03)

            killer = asyncio.create_task(killing())
            began, tasks = time.perf_counter(), list[asyncio.Task[None]]()
            while (now := time.perf_counter() - began) < seconds:
                while len(tasks) < now * rate:
                    tasks.append(asyncio.create_task(ask(client, router, len(tasks), tally)))
                await asyncio.sleep(max(0.0, len(tasks) / rate - (time.perf_counter() - began)))
            killer.cancel()
            await asyncio.gather(*tasks)
    tally.lost = +tally.lost
    return tally


def lines(tally: Tally) -> list[str]:
    return [
        f"  kills                              {tally.kills:6d}",
        f"  asked                              {tally.asked:6d}, every other one as a stream",
        f"  answered, streamed to the end      {tally.answered:6d}, {tally.streamed}",
        f"  streams that broke and said so     {tally.broken:6d}, without a word {tally.mute}",
        f"  lost before anything was streamed  {sum(tally.lost.values()):6d}",
        f"  slowest                            {tally.slowest:8.1f} s",
        *(f"    {count} × {what}" for what, count in tally.lost.most_common(5)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--every", type=float, default=3.0)
    parser.add_argument("--check", action="store_true", help="exit status 1 where something was lost")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    tally: Any = uvloop.run(measure(given.seconds, given.rate, given.every))
    print(
        f"Router before two instant upstreams, {given.rate:.0f} requests/s for {given.seconds:.0f} s, "
        f"every {given.every:g} s one of them killed with -9 and started again"
    )
    print("\n".join(lines(tally)))
    if given.json:
        found = {**vars(tally), "asked": tally.asked, "lost": sum(tally.lost.values())}
        given.json.write_text(json.dumps(found, indent=2))
    if given.check and (tally.lost or tally.mute):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
