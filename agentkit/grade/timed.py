"""Calls a reward with a limit on its time, on whatever thread and in whatever program that happens.

A plain function runs on a thread of its own. An alarm signal would end it more thoroughly, but works on the main thread
alone, and belongs to whoever uses the process's only timer already: a player of trials, a training library. A thread
cannot be ended. One that took too long is left behind, and does not keep the program from ending; the caller gets an
error and is expected to stop.

A coroutine function runs in an event loop that is shared by all of them, so that the connections of a judge's client
live from one call to the next. A loop in which something took too long is left behind as well.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any


class TookTooLong(Exception):
    """The time is over, and the call is not."""


def call_within(function: Callable[[Any], Any], argument: Any, seconds: float) -> Any:
    """What `function(argument)` returns, awaited where it is a coroutine function.

    Raises TookTooLong, and whatever the function raises. Context variables are the caller's.
    """
    loop: asyncio.AbstractEventLoop | None = None
    if inspect.iscoroutinefunction(function):
        loop = _loops.current()
        future = asyncio.run_coroutine_threadsafe(_kept_in(function, argument), loop)
    else:
        future = _on_a_thread(function, argument)
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():  # the function's own
            raise
        future.cancel()
        if loop is not None:
            _loops.leave(loop)
        raise TookTooLong from None


def _on_a_thread(function: Callable[[Any], Any], argument: Any) -> Future[Any]:
    future: Future[Any] = Future()
    context = copy_context()

    def work() -> None:
        future.set_running_or_notify_cancel()
        try:
            result = context.run(function, argument)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=work, name="reward", daemon=True).start()
    return future


async def _kept_in(function: Callable[[Any], Any], argument: Any) -> Any:
    """A loop ends with what its task exits with; the other rewards still need it."""
    try:
        return await function(argument)
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"it tried to end the program: {type(error).__name__} {error}") from error


class _Loops:
    """The event loop of asynchronous rewards, on a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def current(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="rewards", daemon=True).start()
            return self._loop

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use another one from now on."""
        with self._lock:
            if self._loop is loop:
                self._loop = None


_loops = _Loops()
