"""A router on loopback with fakes behind it, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import uvicorn
import uvloop

from agentkit.config import RouterSettings
from agentkit.records import ApiKey, Arm, ConversationId, Exchange, KeyLimits, Revision, Route, Target, TargetKind
from agentkit.serve.keys import KeyRing, digest
from agentkit.serve.router import KeyDoor, Parts, Router
from agentkit.serve.router.server import RouterServer, listen
from agentkit.serve.upstream import Upstream
from tests.serve.router.instant import Instant, Way, config

BASE = Target(TargetKind.BASE)
ADAPTER = Target(TargetKind.ADAPTER, "refund-v1-3fa9")
CLOSED = Target(TargetKind.UPSTREAM, "frontier")
KEY, ADMIN, OTHER, TIGHT = "sk-agentkit-alice", "sk-agentkit-root", "sk-agentkit-bob", "sk-agentkit-tight"
HELLO = {"model": "pos/refund", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass
class FakeKeys:
    rows: list[ApiKey] = field(
        default_factory=lambda: [
            ApiKey("alice", digest(KEY), ""),
            ApiKey("bob", digest(OTHER), ""),
            ApiKey("root", digest(ADMIN), "", admin=True),
            ApiKey("tight", digest(TIGHT), "", limits=KeyLimits(per_minute=3, concurrent=1)),
        ]
    )
    asked: int = 0

    def api_keys(self) -> list[ApiKey]:
        self.asked += 1
        return list(self.rows)


@dataclass(frozen=True)
class Resolved:
    revision: int
    arm: Arm
    target: Target
    route: Route


ROUTES = (
    Route("*", "*", BASE),
    Route("pos", "refund", BASE),
    Route("pos", "greet", ADAPTER),
    Route("pos", "hard", CLOSED),
)
SEVENTH = Revision(7, ROUTES, "2026-01-01T00:00:00Z", "cli", "a start")


@dataclass
class FakeTable:
    current: Revision = SEVENTH
    begun: Revision = SEVENTH
    resolved: list[tuple[str, str, str]] = field(default_factory=list)

    def knows(self, conversation: ConversationId) -> bool:
        return len(self.resolved) % 2 == 0

    def resolve(self, conversation: ConversationId, agent: str, step: str) -> Resolved:
        self.resolved.append((conversation, agent, step))
        found = {(it.agent, it.step): it for it in self.current.routes}
        route = found.get((agent, step)) or found["*", "*"]
        return Resolved(self.current.number, Arm.LIVE, route.live, route)


@dataclass
class FakeUpstreams:
    of: dict[Target, list[Upstream]] = field(default_factory=dict)

    def serving(self, target: Target) -> Sequence[Upstream]:
        return self.of.get(target, [])

    def known(self, target: Target) -> bool:
        return target in self.of


@dataclass
class FakeCapture:
    kept: list[Exchange] = field(default_factory=list)
    sizes: list[int | None] = field(default_factory=list)
    running: bool = False
    offered: int = 0
    stored: int = 0
    dropped: int = 0
    spilled: int = 0
    depth: int = 0
    alarm: bool = False

    @property
    def figures(self) -> FakeCapture:
        return self

    def offer(self, exchange: Exchange, *, size: int | None = None) -> bool:
        self.offered += 1
        self.sizes.append(size)
        self.kept.append(exchange)
        return True

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._servers: list[tuple[uvicorn.Server, Any]] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def serve(self, server: uvicorn.Server, sock: socket.socket | None = None) -> int:
        """Start it, and give its port."""
        sock = sock or listen("127.0.0.1", 0)

        async def up() -> None:
            task = self.loop.create_task(server.serve(sockets=[sock]))
            self._servers.append((server, task))
            while not server.started:
                await asyncio.sleep(0.005)
                if task.done():
                    await task
                    raise AssertionError("the server did not start")

        self.run(up())
        port: int = sock.getsockname()[1]
        return port

    def close(self) -> None:
        async def down() -> None:
            for server, _ in reversed(self._servers):
                server.should_exit = True
            await asyncio.gather(*(task for _, task in self._servers), return_exceptions=True)

        self.run(down())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@dataclass
class World:
    """What a test sees of it. `fresh` forgets what earlier tests have left."""

    url: str
    router: Router
    instants: list[Instant]
    capture: FakeCapture
    table: FakeTable
    upstreams: FakeUpstreams
    keys: FakeKeys
    loop: Loop

    def fresh(self) -> World:
        for it in self.instants:
            it.ways = lambda _: Way()
            it.seen.clear()
            it.gone = 0
        self.capture.kept.clear()
        self.capture.sizes.clear()
        self.table.resolved.clear()
        self.router.balance._health.clear()
        return self

    @property
    def upstream(self) -> Instant:
        """The only one, or the first."""
        return self.instants[0]

    def client(self, key: str | None = KEY) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=15)

    def chat(self, key: str | None = KEY, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        with self.client(key) as client:
            return client.post("/v1/chat/completions", json={**HELLO, **more}, headers=headers)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.router.metrics.registry.get_sample_value(name, labels)

    def exchange(self) -> Exchange:
        """The last one that was kept, once it is."""
        return self.exchanges(1)[-1]

    def exchanges(self, count: int) -> list[Exchange]:
        """A response may be here a moment before its exchange is kept."""
        self.until(lambda: len(self.capture.kept) >= count)
        return self.capture.kept

    def until(self, true: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 10
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.002)


@contextmanager
def world(
    upstreams: int = 1, settings: RouterSettings | None = None, *, parts: dict[str, Any] | None = None
) -> Iterator[World]:
    """A router before so many instant upstreams, each of which serves everything."""
    loop = Loop()
    try:
        instants = [Instant() for _ in range(upstreams)]
        ports = [loop.serve(uvicorn.Server(config(it))) for it in instants]
        serving = [
            Upstream(f"replica-{place}", f"http://127.0.0.1:{port}/v1", "tiny", api_key="theirs")
            for place, port in enumerate(ports)
        ]
        fake = FakeUpstreams({it: [replace(up, model=str(it)) for up in serving] for it in (BASE, ADAPTER, CLOSED)})
        capture, table, keys = FakeCapture(), FakeTable(), FakeKeys()
        made = Parts(
            **{
                "table": table,
                "upstreams": fake,
                "door": KeyDoor(KeyRing(keys, pause=0.0)),
                "settings": settings or RouterSettings(),
                "capture": capture,
                "pseudonym": lambda user: f"pseudonym of {user}",
                **(parts or {}),
            }
        )
        router = Router(made)
        port = loop.serve(RouterServer(router))
        yield World(f"http://127.0.0.1:{port}", router, instants, capture, table, fake, keys, loop)
    finally:
        loop.close()
