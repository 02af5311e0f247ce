"""An upstream that answers at once, and misbehaves as it is told: the application, and a process of its own for it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from agentkit.config import RouterSettings
from agentkit.serve.router.guard import ABORT, guarded

USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
WORDS = ("All ", "is ", "well.")


@dataclass(frozen=True)
class Way:
    """How to answer one request."""

    status: int = 200
    body: bytes | None = None
    """Sent as it is, in place of an answer."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    hang: float = 0.0
    """Seconds before anything is said."""
    cut_after: int | None = None
    """Pieces after which the connection is cut; 0: instead of an answer."""
    pause: float = 0.0
    """Seconds between pieces."""
    pieces: tuple[dict[str, Any], ...] | None = None
    """Of a stream: the deltas."""
    message: dict[str, Any] | None = None
    tail: tuple[bytes, ...] = (b"data: [DONE]\n\n",)
    finish: str | None = "stop"


@dataclass
class Instant:
    """The application. `ways` decides for each request; `seen` holds bodies and headers as they came."""

    ways: Callable[[dict[str, Any]], Way] = lambda _: Way()
    seen: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    running: int = 0
    gone: int = 0
    """Requests whose caller hung up before the end."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": f"{kind}.complete"})
                if kind.endswith("shutdown"):
                    return
        if scope["method"] == "GET":  # whoever watches it
            return await self._whole(200, b'{"object": "list", "data": [{"id": "tiny"}]}', (), send)
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        body = json.loads(raw) if raw else {}
        self.seen.append((body, {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}))
        self.running += 1
        watch = asyncio.create_task(self._watch(receive))
        try:
            await self._answer(self.ways(body), body, scope, send)
        finally:
            self.running -= 1
            watch.cancel()

    async def _watch(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone += 1

    async def _answer(self, way: Way, body: dict[str, Any], scope: Any, send: Any) -> None:
        if way.hang:
            await asyncio.sleep(way.hang)
        if way.cut_after == 0:
            scope["extensions"][ABORT]()
            return
        if way.status != 200 or way.body is not None:
            await self._whole(way.status, way.body or b'{"error": {"message": "no"}}', way.headers, send)
        elif body.get("stream"):
            await self._stream(way, body, scope, send)
        else:
            await self._whole(200, json.dumps(completion(way, body)).encode(), way.headers, send)

    async def _whole(self, status: int, body: bytes, more: tuple[tuple[bytes, bytes], ...], send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, way: Way, body: dict[str, Any], scope: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream"), *way.headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for count, piece in enumerate(stream(way, body), 1):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if way.cut_after == count:
                await asyncio.sleep(0.02)
                scope["extensions"][ABORT]()
                return
            if way.pause:
                await asyncio.sleep(way.pause)
        for piece in way.tail:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def completion(way: Way, body: dict[str, Any]) -> dict[str, Any]:
    message = way.message or {"role": "assistant", "content": "".join(WORDS)}
    return {
        "id": "theirs",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": way.finish}],
        "usage": USAGE,
    }


def stream(way: Way, body: dict[str, Any]) -> list[bytes]:
    deltas = way.pieces if way.pieces is not None else tuple({"content": word} for word in WORDS)
    choices: list[list[dict[str, Any]]] = [
        [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}],
        *([{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas),
        *([[{"index": 0, "delta": {}, "finish_reason": way.finish}]] if way.finish else []),
    ]
    about = {"id": "theirs", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    found = [{**about, "choices": it} for it in choices]
    if (body.get("stream_options") or {}).get("include_usage"):
        found.append({**about, "choices": [], "usage": USAGE})
    return [b"data: " + json.dumps(it).encode() + b"\n\n" for it in found]


def config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=guarded(RouterSettings()),
        loop="uvloop",
        log_config=None,
        access_log=False,
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


def serve(port: int, pause: float) -> None:
    """Until it is killed. `pause`: seconds between the pieces of a stream."""
    way = Way(pause=pause)
    server_config = config(Instant(ways=lambda _: way))
    server_config.port = port
    uvicorn.Server(server_config).run()


if __name__ == "__main__":
    # Each line of the input, `PORT PAUSE`, forks one, whose process id is said: it is up in a moment, not in seconds.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        asked_port, asked_pause = line.split()
        if (pid := os.fork()) == 0:
            serve(int(asked_port), float(asked_pause))
            os._exit(0)
        print(pid, flush=True)
