"""`POST /v1/chat/completions`: in at the door, through the route table, to an upstream and back."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agentkit.records import ApiKey
from agentkit.serve.router.asked import Asked, check_agent, understood
from agentkit.serve.router.body import CallerGone, header, read_json
from agentkit.serve.router.call import Call, now
from agentkit.serve.router.client import NoAnswer, TooSlow
from agentkit.serve.router.guard import ABORT
from agentkit.serve.router.hangup import UntilGone
from agentkit.serve.router.limits import KeyUse
from agentkit.serve.router.metrics import Metrics
from agentkit.serve.router.objectives import Objectives
from agentkit.serve.router.parts import Parts, Resolving
from agentkit.serve.router.recent import Recent
from agentkit.serve.router.refused import Refused, failed
from agentkit.serve.router.relay import Begun, Relay
from agentkit.serve.router.sse import DONE, event
from agentkit.serve.status import GONE

_LOG = logging.getLogger(__name__)


class ChatService:
    """Answers chat completions; one for all requests of a process."""

    def __init__(self, parts: Parts, relay: Relay, metrics: Metrics, objectives: Objectives, use: KeyUse) -> None:
        self._parts = parts
        self._relay = relay
        self._metrics = metrics
        self._objectives = objectives
        self.recent = Recent()
        self._looking_up = ThreadPoolExecutor(4, thread_name_prefix="agentkit-resolve")
        self._use = use

    def close(self) -> None:
        """Nothing is served any more."""
        self._looking_up.shutdown(wait=False)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises Refused where it is not let in."""
        started, at = time.perf_counter(), now()
        key = await self._parts.door.admit(scope)
        with self._use.entered(key):
            body = await read_json(scope, receive, self._parts.settings)
            call = await self._let_in(scope, body, key, started, at)
            self._metrics.running.inc()
            try:
                await self._answer(call, scope, receive, send)
            finally:
                self._metrics.running.dec()
                self._settle(call, header(scope, b"content-length"))

    async def _let_in(self, scope: Scope, body: dict[str, Any], key: ApiKey, started: float, at: str) -> Call:
        """The call that a request is. Raises Refused."""
        parts = self._parts
        asked = understood(body, header(scope, b"x-conversation-id"), key.name, parts.settings, parts.pseudonym)
        if parts.settings.agents:
            check_agent(asked, {route.agent for route in parts.table.current.routes}, parts.settings)
        traceparent = (header(scope, b"traceparent") or b"").decode("latin-1") or None
        resolved = await self._resolved(asked)
        span = parts.tracing.served(
            traceparent, conversation=asked.conversation, agent=asked.agent, step=asked.step, model=asked.name
        )
        return Call(
            asked=asked,
            key=key.name,
            revision=resolved.revision,
            arm=resolved.arm,
            target=resolved.target,
            span=span,
            traceparent=traceparent,
            at=at,
            started=started,
        )

    async def _resolved(self, asked: Asked) -> Resolving:
        """Where it goes. A conversation that is new here is looked for in the store, which nobody else waits for."""
        resolve = partial(self._parts.table.resolve, asked.conversation, asked.agent, asked.step)
        if self._parts.table.knows(asked.conversation):
            return resolve()
        return await asyncio.get_running_loop().run_in_executor(self._looking_up, resolve)

    async def _answer(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens; the call says how it went."""
        try:
            async with UntilGone(receive) as until, AsyncExitStack() as stack:
                begun = await self._relay.begin(call, stack)
                await _Teller(call, send, until, self._parts.settings.write_time).tell(begun)
            return
        except CallerGone:
            call.status, call.error = GONE, "the caller hung up"
            return
        except Refused as error:
            refused = error
        except TimeoutError:
            call.status, call.error = GONE, "the caller did not read its answer in time"
            scope["extensions"][ABORT]()
            return
        except asyncio.CancelledError:
            call.status, call.error = 503, "the router ended"
            raise
        except Exception:
            _LOG.exception("a request failed by a fault of the router")
            if call.first is not None:
                call.error = "the router failed"
                scope["extensions"][ABORT]()
                return
            refused = failed(500, "internal_error", "the router failed; its log says more")
        call.status, call.error = refused.status, refused.message
        await refused.response(_about(call))(scope, receive, send)

    def _settle(self, call: Call, length: bytes | None) -> None:
        """What is told of a call once it is over: metrics, objectives, its span, and its exchange if it is kept.
        `length` is that of its body, where the caller said it."""
        seconds, usage = call.elapsed, call.joined.usage
        about = (call.asked.agent, call.asked.step, str(call.target), call.arm.value)
        self._metrics.finished(about, call.status, seconds, call.first, usage)
        broke = call.status == 200 and call.error is not None
        self._objectives.count(502 if broke else call.status, seconds if call.first is None else call.first)
        call.finish_span()
        if call.asked.consent is False:
            self._metrics.withheld()
            return
        self.recent.add(call.key, call.id, call.asked.conversation)
        user = None if call.asked.user is None else self._parts.pseudonym(call.asked.user)
        exchange = call.exchange(seconds, user)
        size = None if length is None else int(length) + len(orjson.dumps(exchange.response))
        self._parts.capture.offer(exchange, size=size)


class Chat(Response):
    """The answer to one request, which is made while it is sent."""

    def __init__(self, service: ChatService) -> None:
        self._service = service
        self.background = None
        self.raw_headers = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._service.serve(scope, receive, send)


class _Teller:
    """Sends an answer to its caller."""

    def __init__(self, call: Call, send: Send, until: UntilGone, patience: float) -> None:
        self._call = call
        self._send = send
        self._until = until
        self._patience = patience

    async def tell(self, begun: Begun) -> None:
        if begun.rest is None:
            await self._whole(begun)
        else:
            await self._stream(begun)

    async def _whole(self, begun: Begun) -> None:
        call, answer = self._call, begun.first
        call.joined.take(answer)
        body = orjson.dumps({**answer, "id": call.id, "model": call.asked.name})
        begun.lease.ok = True
        call.status = 200
        await self._start(b"application/json", len(body))
        await self._piece(body, last=True)

    async def _stream(self, begun: Begun) -> None:
        call = self._call
        assert begun.rest is not None
        call.status = 200
        await self._start(b"text/event-stream; charset=utf-8")
        call.first = call.elapsed
        end = DONE
        try:
            await self._event(begun.first)
            async for found in begun.rest:
                await self._event(found)
            begun.lease.ok = True
        except (NoAnswer, TooSlow) as error:
            begun.lease.ok = False
            call.error = f"the stream broke: the model server {error}"
            broken = failed(502, "stream_broken", call.error)
            end = event(broken.body, b"error")
        await self._piece(end, last=True)

    async def _event(self, found: dict[str, Any]) -> None:
        call = self._call
        call.joined.add(found)
        found["id"], found["model"] = call.id, call.asked.name
        if not call.asked.counted and found.pop("usage", None) is not None and not found.get("choices"):
            return
        await self._piece(event(orjson.dumps(found)))

    async def _start(self, kind: bytes, length: int | None = None) -> None:
        headers = [(b"content-type", kind)]
        headers += [(name.encode(), value.encode("latin-1")) for name, value in _about(self._call).items()]
        if length is None:
            headers.append((b"cache-control", b"no-cache"))
        else:
            headers.append((b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _piece(self, body: bytes, *, last: bool = False) -> None:
        self._until.over = last
        async with asyncio.timeout(self._patience):
            await self._send({"type": "http.response.body", "body": body, "more_body": not last})


def _about(call: Call) -> dict[str, str]:
    """Headers that say what answered."""
    return {
        "x-request-id": call.id,
        "x-agentkit-revision": str(call.revision),
        "x-agentkit-target": str(call.target),
        "x-conversation-id": call.asked.conversation,
    }
