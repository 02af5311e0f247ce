"""The router as an application: which addresses there are, and who may use them. There are no others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import Response

from agentkit.errors import AgentkitError
from agentkit.records import ANY, ApiKey, Target
from agentkit.serve.router import document
from agentkit.serve.router.balance import Balance
from agentkit.serve.router.body import CallerGone, read_json
from agentkit.serve.router.chat import Chat, ChatService
from agentkit.serve.router.client import Client
from agentkit.serve.router.door import require_admin
from agentkit.serve.router.limits import KeyUse
from agentkit.serve.router.metrics import Metrics
from agentkit.serve.router.objectives import Objectives
from agentkit.serve.router.parts import Parts
from agentkit.serve.router.refused import Refused
from agentkit.serve.router.relay import Relay

_LOG = logging.getLogger(__name__)
_PAUSES = (0.2, 0.5, 1.0, 1.5)
"""Seconds between tries to find what is judged, where it was answered a moment ago: its exchange is on its way."""
ANYTHING = "agentkit"
"""The model's name by which `/v1/models` offers the routes that stand for all agents."""


class Router:
    """The parts at work; `app` is what a server runs."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.draining = False
        """Whether the router is about to end: `/readyz` says no, running requests go on."""
        self.balance = Balance(parts.upstreams, parts.settings, using=parts.using)
        self.objectives = Objectives(parts.settings)
        self.metrics = Metrics(self.balance, self.objectives, parts.capture)
        self._use = KeyUse(share=1 / parts.settings.processes)
        self.app = FastAPI(
            redirect_slashes=False,
            title="agentkit router",
            docs_url=None,
            redoc_url=None,
            lifespan=self._lifespan,
            **document.ABOUT,
        )
        self.app.add_exception_handler(Refused, self._refused)
        self.app.add_exception_handler(HTTPException, self._http_error)
        self.app.add_exception_handler(AgentkitError, self._our_error)
        self.app.add_exception_handler(CallerGone, self._gone)
        self._add_routes()

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        client = Client(self.parts.settings.connect_time)
        relay = Relay(client, self.balance, self.parts.settings, self.metrics)
        self._chats = ChatService(self.parts, relay, self.metrics, self.objectives, self._use)
        await self.parts.capture.start()
        try:
            yield
        finally:
            self._chats.close()
            client.close()
            await self.parts.capture.stop()

    def _add_routes(self) -> None:
        for path, method, answer, extra in (
            ("/v1/chat/completions", "POST", self._chat, document.CHAT),
            ("/v1/models", "GET", self._models, document.MODELS),
            ("/v1/models/{name:path}", "GET", self._model, document.MODEL),
            ("/v1/feedback", "POST", self._feedback, document.FEEDBACK),
            ("/v1/admin/routes", "GET", self._routes, document.ROUTES),
            ("/v1/admin/routes", "POST", self._change_routes, document.CHANGE),
            ("/metrics", "GET", self._metrics_page, document.METRICS),
            ("/healthz", "GET", self._healthz, document.HEALTH),
            ("/readyz", "GET", self._readyz, document.READY),
        ):
            self.app.add_api_route(path, answer, methods=[method], response_model=None, **extra)
        self.app.openapi().setdefault("components", {})["securitySchemes"] = document.KEYS

    async def _chat(self, request: Request) -> Response:
        return Chat(self._chats)

    async def _models(self, request: Request) -> Response:
        await self._key(request)
        return _json({"object": "list", "data": [_model(name) for name in self._names()]})

    async def _model(self, request: Request, name: str) -> Response:
        await self._key(request)
        if name not in self._names():
            raise Refused(404, "model_not_found", f"no model is called {ascii(name)[:80]}", param="model")
        return _json(_model(name))

    async def _feedback(self, request: Request) -> Response:
        key = await self._key(request)
        with self._use.entered(key):
            body = await read_json(request.scope, request.receive, self.parts.settings)
            if self.parts.feedback is None:
                raise Refused(404, "not_found", "this router takes no feedback")
            for pause in (*_PAUSES, None):
                try:
                    return _json(await asyncio.to_thread(self.parts.feedback, key.name, body))
                except Refused as error:
                    recent = self._chats.recent.knows(key.name, body.get("response"), body.get("conversation"))
                    if error.status != 404 or pause is None or not recent:
                        raise
                await asyncio.sleep(pause)
            raise AssertionError("the last try gives an answer or an error")

    async def _routes(self, request: Request) -> Response:
        require_admin(await self._key(request))
        return _json(document.revision(self.parts.table.current) | {"breaches": self.objectives.breaches()})

    async def _change_routes(self, request: Request) -> Response:
        key = await self._key(request)
        require_admin(key)
        body = await read_json(request.scope, request.receive, self.parts.settings)
        if self.parts.admin is None:
            raise Refused(404, "not_found", "routes cannot be changed here")
        if body.get("action") == "promote" and (breaches := self.objectives.breaches()):
            raise Refused(409, "objectives_breached", f"nothing is promoted while {'; '.join(breaches)}")
        found = await asyncio.to_thread(self.parts.admin, key.name, body)
        _LOG.warning("%s changed the routes: %s", key.name, ascii(body.get("action")))
        return _json(found)

    async def _metrics_page(self, request: Request) -> Response:
        if not self.parts.open_metrics:
            await self._key(request)
        return Response(self.metrics.page(), media_type=CONTENT_TYPE_LATEST)

    async def _healthz(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        serving = {str(target): len(self.parts.upstreams.serving(target)) for target in self._targets()}
        ready = all(serving.values()) and not self.draining
        status = "ready" if ready else "draining" if self.draining else "starting"
        found = {"status": status, "revision": self.parts.table.begun.number, "serving": serving}
        return _json(found, 200 if ready else 503)

    async def _key(self, request: Request) -> ApiKey:
        return await self.parts.door.admit(request.scope)

    def _names(self) -> list[str]:
        """The models that a caller can name: of each route, and of each agent of the settings."""
        found = dict.fromkeys(self.parts.settings.agents)
        for route in self.parts.table.current.routes:
            agent = ANYTHING if route.agent == ANY else route.agent
            found[agent if route.step == ANY else f"{agent}/{route.step}"] = None
        return sorted(found)

    def _targets(self) -> set[Target]:
        """All that conversations that begin now may be led to; not what a newer revision still waits for."""
        routes = self.parts.table.begun.routes
        return {it.live for it in routes} | {it.canary for it in routes if it.canary and it.share > 0}

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        self.metrics.refused(error.status, error.code)
        _LOG.info("%s %s: %d %s", request.method, ascii(request.url.path), error.status, error.message)
        return error.response()

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = f"{request.method} {ascii(request.url.path)[:100]}: there is nothing here"
        code = "not_found"
        if error.status_code == 405:
            message, code = f"{request.method} is not what this address takes", "method_not_allowed"
        refused = Refused(error.status_code, code, message)
        self.metrics.refused(refused.status, refused.code)
        return refused.response(error.headers)

    async def _our_error(self, request: Request, error: Exception) -> Response:
        return Refused(400, "invalid_value", str(error)).response()

    async def _gone(self, request: Request, error: Exception) -> Response:
        return Response(status_code=400)  # nobody is there to read it


def _model(name: str) -> Mapping[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "agentkit"}


def _json(value: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
