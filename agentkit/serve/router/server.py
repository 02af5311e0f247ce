"""Running a router: listening, and an end that lets running requests finish."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from agentkit.errors import UsageError
from agentkit.serve.router.app import Router
from agentkit.serve.router.guard import guarded

_KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: longer than by clients, so that none asks on one that just closes."""
_MOST_CONNECTIONS = 4096
_BACKLOG = 1024


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket on which a router, or with `shared` several processes of one, can listen; port 0 takes any free one.

    Raises UsageError where it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise UsageError(f"--port: {host}:{port} cannot be used: {error.strerror}; --port 0 takes a free one") from None
    found.set_inheritable(True)
    return found


class RouterServer(uvicorn.Server):
    """A router that answers on a socket. SIGINT and SIGTERM end it: nothing new is taken in, what runs has
    `drain_time` seconds, and a second signal ends that, too."""

    def __init__(self, router: Router, ready: Callable[[], None] | None = None) -> None:
        """`ready` is called once it listens."""
        self._router = router
        self._ready = ready
        settings = router.parts.settings
        super().__init__(
            uvicorn.Config(
                router.app,
                http=guarded(settings),
                ws="none",
                loop="uvloop",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=max(1, round(settings.drain_time)),
                limit_concurrency=_MOST_CONNECTIONS,
                backlog=_BACKLOG,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's, they are not raised again afterwards: what stands behind the router ends in order, too."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {it: signal.signal(it, self.handle_exit) for it in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for it, handler in before.items():
                signal.signal(it, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._router.draining = True
        super().handle_exit(sig, frame)
