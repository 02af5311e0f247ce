"""What the router costs: requests a second of one worker, and the time it adds (see README.md)."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import uvloop

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from agentkit.serve.router.client import Client, NoAnswer, TooSlow  # noqa: E402
from agentkit.serve.upstream import Upstream  # noqa: E402

RATE, MEDIAN, P99 = 300.0, 0.005, 0.025
"""Limits: requests a second, and seconds added at half that rate."""
SYSTEM = "You are the assistant at a till. " * 12
USER = "The coffee machine of sale S-48213 is broken, I want my money back, my mail is carol@example.com. "


@dataclass(frozen=True)
class Heard:
    """What came of a load."""

    seconds: float
    times: tuple[float, ...]
    """Of each answer, ascending."""
    lost: int

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds

    def at(self, share: float) -> float:
        return self.times[min(len(self.times) - 1, int(len(self.times) * share))]


class Asker:
    """Asks like many callers, each request in a conversation of five."""

    def __init__(self, url: str, key: str) -> None:
        self._upstream = Upstream("it", f"{url}/v1", "pos/refund", api_key=key)
        self._client = Client(5.0)
        self._asked = 0
        self._run = f"{time.time_ns():x}"
        self.lost = 0

    async def ask(self) -> float:
        """Seconds that one request took."""
        self._asked += 1
        body = json.dumps(
            {
                "model": "pos/refund",
                "user": f"user-{self._asked // 5}",
                "metadata": {"conversation_id": f"{self._run}-{self._asked // 5}"},
                "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": USER * 3}],
                "temperature": 0,
            }
        ).encode()
        began = time.perf_counter()
        try:
            async with await self._client.post(self._upstream, "/chat/completions", body, {}) as reply:
                await reply.whole(2**20, 30)
                self.lost += reply.status != 200
        except (NoAnswer, TooSlow):
            self.lost += 1
        return time.perf_counter() - began

    async def warm(self, count: int = 200) -> None:
        for _ in range(count):
            await self.ask()

    async def as_fast_as_can_be(self, seconds: float, callers: int) -> Heard:
        times: list[float] = []
        began = time.perf_counter()

        async def caller() -> None:
            while time.perf_counter() - began < seconds:
                times.append(await self.ask())

        await asyncio.gather(*(caller() for _ in range(callers)))
        return Heard(time.perf_counter() - began, tuple(sorted(times)), self.lost)

    async def steadily(self, rate: float, seconds: float) -> Heard:
        """At so many a second, whether or not earlier ones are answered: nobody waits politely for a slow router."""
        began, tasks = time.perf_counter(), list[asyncio.Task[float]]()
        while (now := time.perf_counter() - began) < seconds:
            while len(tasks) < now * rate:
                tasks.append(asyncio.create_task(self.ask()))
            await asyncio.sleep(max(0.0, len(tasks) / rate - (time.perf_counter() - began)))
        times = await asyncio.gather(*tasks)
        return Heard(time.perf_counter() - began, tuple(sorted(times)), self.lost)


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port: int = it.getsockname()[1]
        return port


class Instants:
    """Instant upstreams, each in a process of its own, started in a moment and ended with the block."""

    def __enter__(self) -> Self:
        self._maker = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/serve/router/instant.py")],
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pids: dict[int, int] = {}
        return self

    def __exit__(self, *_: object) -> None:
        for port in list(self._pids):
            self.kill(port)
        self._maker.kill()
        self._maker.communicate()

    def start(self, port: int, pause: float = 0.0) -> None:
        """`pause`: seconds between the pieces of a stream."""
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        print(port, pause, file=self._maker.stdin, flush=True)
        self._pids[port] = int(self._maker.stdout.readline())

    def kill(self, port: int) -> None:
        """`kill -9`."""
        os.kill(self._pids.pop(port), signal.SIGKILL)


async def until_up(url: str, path: str = "/healthz", seconds: float = 60) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(round(10 * seconds)):
            try:
                await client.get(url + path)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return
    raise SystemExit(f"{url} did not come up")


@contextmanager
def project(
    upstreams: Sequence[int], more: str = "", *, settings: str | None = None
) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """A whole router, as `agentkit serve` starts it, before upstreams at those ports: its URL, a key, its process."""
    agentkit = [sys.executable, "-c", "from agentkit.cli import main; main()", "serve"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "AGENTKIT_STORE": ""}
    with tempfile.TemporaryDirectory() as folder:
        urls = ", ".join(f'"http://127.0.0.1:{port}/v1"' for port in upstreams)
        settings = settings or f'[tool.agentkit.serve.engines]\nreplicas = 0\nmodel = "tiny"\nurls = [{urls}]\n{more}'
        Path(folder, "pyproject.toml").write_text(settings)
        key = subprocess.check_output(
            [*agentkit, "keys", "add", "bench"], cwd=folder, env=env, stderr=subprocess.DEVNULL
        )
        port = free_port()
        with subprocess.Popen([*agentkit, "--port", str(port)], cwd=folder, env=env) as process:
            try:
                yield f"http://127.0.0.1:{port}", key.decode().strip(), process
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def captured(url: str) -> dict[str, float]:
    """The router's own counts of what it keeps."""
    async with httpx.AsyncClient(trust_env=False) as client:
        page = (await client.get(f"{url}/metrics")).text
    lines = [line.split() for line in page.splitlines() if line.startswith("agentkit_capture")]
    return {name: float(value) for name, value in lines}


async def measure(seconds: float, callers: int) -> dict[str, Any]:
    port = free_port()
    with Instants() as instants:
        instants.start(port)
        direct = f"http://127.0.0.1:{port}"
        await until_up(direct, "/health")
        with project([port]) as (url, key, process):
            await until_up(url, "/readyz")
            through, straight = Asker(url, key), Asker(direct, "none")
            await through.warm()
            await straight.warm()
            before = cpu_seconds(process)
            most = await through.as_fast_as_can_be(seconds, callers)
            cpu = (cpu_seconds(process) - before) / len(most.times)
            await asyncio.sleep(2)
            alone, added = await straight.steadily(RATE / 2, seconds), await through.steadily(RATE / 2, seconds)
            await asyncio.sleep(2)
            kept = await captured(url)
            return {
                "requests_a_second": most.rate,
                "cpu_ms_a_request": cpu * 1e3,
                "added_median_ms": (added.at(0.5) - alone.at(0.5)) * 1e3,
                "added_p99_ms": (added.at(0.99) - alone.at(0.99)) * 1e3,
                "median_ms": added.at(0.5) * 1e3,
                "p99_ms": added.at(0.99) * 1e3,
                "lost": added.lost,
                "asked": through._asked,
                "kept": kept,
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--check", action="store_true", help="exit status 1 where a limit is missed")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = uvloop.run(measure(given.seconds, given.callers))
    kept = found["kept"]
    print(f"Router, one worker, capture on, instant upstream, {given.seconds:.0f} s each")
    print(f"  as fast as can be     {found['requests_a_second']:6.0f} requests/s, limit {RATE:.0f}")
    print(f"  CPU a request         {found['cpu_ms_a_request']:6.2f} ms, capture and redaction included")
    print(f"  at {RATE / 2:.0f}/s, median      {found['added_median_ms']:6.2f} ms added, limit {MEDIAN * 1e3:.0f}")
    print(f"  at {RATE / 2:.0f}/s, p99         {found['added_p99_ms']:6.2f} ms added, limit {P99 * 1e3:.0f}")
    print(f"  lost                  {found['lost']:6d} of {found['asked']}")
    print(
        "  kept                  "
        + ", ".join(f"{name[17:].removesuffix('_total')} {it:.0f}" for name, it in kept.items())
    )
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))
    missed = found["requests_a_second"] < RATE or found["added_median_ms"] > MEDIAN * 1e3
    missed = (
        missed or found["added_p99_ms"] > P99 * 1e3 or found["lost"] > 0 or kept["agentkit_capture_dropped_total"] > 0
    )
    if given.check and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
