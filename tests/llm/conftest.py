"""A real HTTP server on loopback that misbehaves as told, and time that passes only when somebody sleeps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from agentkit.llm import ChatRequest
from agentkit.llm.openai import OpenAIChat
from agentkit.llm.throttle import Clock, Throttle
from agentkit.records import Message

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """Answers with the replies of `script`, one each, and with the last one from then on."""

    script: list[Reply] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first request."""
    url: str = ""
    under_way: int = 0
    takes: float = 0.0
    """Seconds before each reply."""
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def listening(cls) -> AsyncIterator[Server]:
        """A server of good behaviour, until it is told otherwise."""
        server = cls([cls.answer()])
        listening = await asyncio.start_server(server.connect, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        yield server
        listening.close()
        await server.close()
        await listening.wait_closed()

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.create_task(self.serve(reader, writer)))

    async def close(self) -> None:
        for connection in self.connections:
            connection.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever hangs up in the middle is what some of these tests are about.
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                start, *lines = head.decode().strip().split("\r\n")
                pairs = (line.partition(":") for line in lines)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers["content-length"]))
                self.received.append(Received(*start.split()[:2], headers, json.loads(body)))
                self.asked.set()
                self.under_way += 1
                try:
                    await asyncio.sleep(self.takes)
                    await (self.script.pop(0) if len(self.script) > 1 else self.script[0])(writer)
                    await writer.drain()
                finally:
                    self.under_way -= 1

    @staticmethod
    def completion(content: object = "Hi.", **message: object) -> dict[str, Any]:
        choice = {"index": 0, "finish_reason": "stop", "message": {"content": content, **message}}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        return {"id": "chatcmpl-1", "model": "tiny-2026", "choices": [choice], "usage": usage}

    @staticmethod
    def raw(status: int, body: bytes, *headers: str) -> Reply:
        async def reply(writer: asyncio.StreamWriter) -> None:
            lines = [f"HTTP/1.1 {status} Because", f"content-length: {len(body)}", *headers]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

        return reply

    @classmethod
    def answer(cls, body: object = None) -> Reply:
        return cls.raw(200, json.dumps(cls.completion() if body is None else body).encode())

    @classmethod
    def error(cls, status: int, message: str = "no", *headers: str) -> Reply:
        return cls.raw(status, json.dumps({"error": {"message": message, "type": "t"}}).encode(), *headers)

    @staticmethod
    async def hang_up(writer: asyncio.StreamWriter) -> None:
        """In the middle of the body."""
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"choices": [')
        await writer.drain()
        writer.close()

    @staticmethod
    async def drip(writer: asyncio.StreamWriter) -> None:
        """A byte now and then, so that no pause is ever long, and never the whole."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)


@dataclass
class Time:
    """Seconds that pass only in `sleep`, and there at once."""

    now: float = 1000.0
    wall: float = 1_700_000_000.0
    chance: float = 1.0
    slept: list[float] = field(default_factory=list)
    together: asyncio.Barrier | None = None
    """Who sleeps wakes only when so many do."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.now + seconds
        await (asyncio.sleep(0) if self.together is None else self.together.wait())
        self.now = max(self.now, until)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.wall, self.sleep, lambda: self.chance)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server.listening() as listening:
        yield listening


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ask() -> ChatRequest:
    return ChatRequest([Message("system", "Be brief.", -1), Message("user", "Hello")])


@pytest.fixture
async def open_chat(server: Server, time: Time) -> AsyncIterator[Callable[..., OpenAIChat]]:
    """Opens models at the server, on the fake time and with one throttle, and closes them afterwards."""
    opened: list[OpenAIChat] = []
    throttle = Throttle(time.clock)

    def open_(base_url: str = server.url, **settings: Any) -> OpenAIChat:
        opened.append(OpenAIChat(base_url, "tiny", **{"clock": time.clock, "throttle": throttle} | settings))
        return opened[-1]

    yield open_
    for chat in opened:
        await chat.close()
