"""From an upstream that can answer to the first piece of its answer: tried again elsewhere as long as nothing came."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

import orjson

from agentkit.config import RouterSettings
from agentkit.llm.retry import retry_after
from agentkit.llm.wire import error_message
from agentkit.redact import redact
from agentkit.serve.router.asked import Asked
from agentkit.serve.router.balance import Balance, Lease
from agentkit.serve.router.call import Call
from agentkit.serve.router.client import Client, NoAnswer, Reply, TooSlow, Unreachable
from agentkit.serve.router.limits import RetryBudget
from agentkit.serve.router.metrics import Metrics
from agentkit.serve.router.refused import Refused, failed, shed
from agentkit.serve.router.sse import TooLong, events
from agentkit.serve.upstream import Upstream

_PATH = "/chat/completions"
_PAUSE = 0.02
"""Seconds; doubled with each attempt it is the longest pause before the next. The first retry follows at once: it goes
to another upstream. The others are shortened at random, so that many do not come at once."""
_LONGEST = 0.5
"""Seconds; no pause is longer."""
_LOG = logging.getLogger(__name__)
_READ = 64 * 2**10
_SHOWN = 400
"""Characters of an upstream's message that are passed on."""
_ELSEWHERE = frozenset({408, 409, 425, 500, 502, 503, 504})
"""Statuses by which an upstream says more about itself than about the request: another may do better."""
_OF_THE_CALLER = frozenset({400, 413, 415, 422})
"""Statuses that are passed on."""


class Broken(Exception):
    """An upstream gave no answer. `refused` is what the caller gets if nobody else does better, `again` whether to try
    another, `well` whether the upstream is none the worse for it (None: it says nothing), `sent` whether it may have
    begun to work."""

    def __init__(self, refused: Refused, *, again: bool, well: bool | None = False, sent: bool = True) -> None:
        super().__init__(refused.message)
        self.refused = refused
        self.again = again
        self.well = well
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer that has begun: from here on it is this upstream's, or nobody's."""

    first: dict[str, Any]
    """The whole of it, or the first event of a stream."""
    rest: AsyncIterator[dict[str, Any]] | None
    """The other events. Raises NoAnswer or TooSlow where the stream breaks; None where there is no stream."""
    lease: Lease


class _Patience:
    """Whether one request is sent once more, and after what pause.

    Attempts are counted where an upstream may have begun to work. Where nobody could be reached nothing was done, so
    that goes on as long as a request may wait at all.
    """

    def __init__(self, settings: RouterSettings, budget: RetryBudget) -> None:
        self._settings = settings
        self._budget = budget
        self._sent = self._failed = 0
        self._until = time.monotonic() + settings.queue_time

    def after(self, broken: Broken) -> float | None:
        """Seconds to wait before the next attempt; None where there is none."""
        self._failed += 1
        if broken.sent:
            self._sent += 1
            if not (broken.again and self._sent < self._settings.attempts and self._budget.take()):
                return None
        elif time.monotonic() > self._until:
            return None
        return 0.0 if self._failed == 1 else random.uniform(0, min(_LONGEST, _PAUSE * 2**self._failed))


class Relay:
    """Sends calls upstream; one for all requests of a process."""

    def __init__(self, client: Client, balance: Balance, settings: RouterSettings, metrics: Metrics) -> None:
        self._client = client
        self._balance = balance
        self._settings = settings
        self._metrics = metrics
        self._budget = RetryBudget(settings.retry_share)

    async def begin(self, call: Call, stack: AsyncExitStack) -> Begun:
        """An answer from whoever gives one. What is open by then is closed with `stack`.

        Raises Refused where nobody does.
        """
        self._budget.asked()
        tried: list[str] = []
        patience = _Patience(self._settings, self._budget)
        while True:
            async with AsyncExitStack() as attempt:
                lease = attempt.enter_context(await self._balance.lease(call.target, tried))
                call.attempts += 1
                call.replica = lease.upstream.name
                try:
                    begun = await self._send(call, lease, attempt)
                except Broken as error:
                    broken, lease.ok = error, error.well
                else:
                    await stack.enter_async_context(attempt.pop_all())
                    return begun
            tried.append(call.replica)
            _LOG.info("%s: attempt %d: %s", call.replica, call.attempts, broken)
            pause = patience.after(broken)
            if pause is None:
                raise broken.refused from broken
            self._metrics.retried(call.replica)
            await asyncio.sleep(pause)

    async def _send(self, call: Call, lease: Lease, attempt: AsyncExitStack) -> Begun:
        """One attempt. Raises Broken."""
        upstream, traceparent = lease.upstream, call.upstream_traceparent
        headers = {"traceparent": traceparent} if traceparent else {}
        try:
            reply = await self._client.post(upstream, _PATH, _body(call.asked, upstream.model), headers)
            await attempt.enter_async_context(reply)
            if reply.status != 200:
                raise _said_no(reply, await reply.whole(_READ, self._settings.idle_time))
            if not call.asked.stream:
                content = await reply.whole(self._settings.max_answer, self._settings.idle_time)
                return Begun(_answer(content), None, lease)
            rest = await attempt.enter_async_context(aclosing(self._events(reply, upstream)))
            return Begun(await anext(rest), rest, lease)
        except NoAnswer as error:
            refused = failed(502, "upstream_failed", f"the model server {error}")
            raise Broken(refused, again=True, sent=not isinstance(error, Unreachable)) from error
        except StopAsyncIteration:
            raise Broken(failed(502, "upstream_failed", "the model server sent an empty stream"), again=True) from None
        except TooSlow as error:
            raise Broken(failed(504, "upstream_timeout", f"the model server: {error}"), again=False) from error

    async def _events(self, reply: Reply, upstream: Upstream) -> AsyncGenerator[dict[str, Any]]:
        """The events of a stream, to its end. Raises NoAnswer where it breaks off, or an error is in it; TooSlow."""
        finished = False
        try:
            async for data in events(
                reply.pieces(upstream.timeout, self._settings.idle_time), self._settings.max_answer
            ):
                if data == b"[DONE]":
                    reply.done = True
                    return
                found = orjson.loads(data)
                if not isinstance(found, dict) or found.get("error"):
                    raise NoAnswer(f"sent an error: {_shown(data)}")
                finished = finished or _has_finished(found)
                yield found
        except (TooLong, orjson.JSONDecodeError) as error:
            raise NoAnswer(f"sent what is no stream of chat completions: {error}") from None
        if not finished:
            raise NoAnswer("broke off")


def _body(asked: Asked, model: str) -> bytes:
    more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if asked.stream else {}
    return orjson.dumps({"model": model, **asked.body, **more})


def _has_finished(piece: dict[str, Any]) -> bool:
    choices = piece.get("choices")
    return isinstance(choices, list) and any(isinstance(it, dict) and it.get("finish_reason") for it in choices)


def _answer(content: bytes) -> dict[str, Any]:
    """A whole answer. Raises NoAnswer for what is none."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("choices"), list) or not found["choices"]:
        raise NoAnswer(f"sent what is no chat completion: {_shown(content)}")
    return found


def _said_no(reply: Reply, content: bytes) -> Broken:
    """What to make of a status that is no success."""
    status, said = reply.status, _shown(content)
    if status in _OF_THE_CALLER:
        refused = Refused(status, "upstream_refused", f"the model server refused: {said}")
        return Broken(refused, again=False, well=True)
    if status == 429:
        wait = retry_after(reply.headers, time.time()) or 1.0
        return Broken(shed("the model server has no room", wait), again=True, well=None)
    if status in (401, 403, 404):
        message = f"the model server does not do what the route wants of it: HTTP {status}"
        return Broken(failed(502, "upstream_failed", message), again=True, well=None if status == 404 else False)
    code = 504 if status in (408, 504) else 502
    message = f"the model server failed: HTTP {status}: {said}"
    return Broken(failed(code, "upstream_failed", message), again=status in _ELSEWHERE)


def _shown(content: bytes) -> str:
    """An upstream's words as a caller may see them: no secrets, no control characters, not long."""
    plain = "".join(char if char.isprintable() else " " for char in redact(error_message(content[:_READ])))
    shown = " ".join(plain.split())
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
