"""A server for this machine's browser alone, and what every answer of it carries.

A browser may be lured here by another site, and everything that is shown was written by others: names that lead here by
way of another site's DNS are refused, other sites may link and no more, and each answer says what the browser may load.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit

from agentkit.errors import AgentkitError, NotJudged, StoreError

HOST = "127.0.0.1"
HTML, JSON = "text/html; charset=utf-8", "application/json"
CSS, JAVASCRIPT = "text/css; charset=utf-8", "text/javascript; charset=utf-8"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LoopbackServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1. Raises OSError where the port is taken."""

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # on Windows it would share a port with whoever has it

    def __init__(self, handler: type[GuardedHandler], port: int) -> None:
        super().__init__((HOST, port), handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    def own(self, host: str | None) -> bool:
        """Whether a Host header names this server: another name that leads here is an attack (DNS rebinding)."""
        names = (HOST, "localhost")
        known = {f"{name}:{self.port}" for name in names} | (set(names) if self.port == 80 else set())
        return host is not None and host.lower() in known

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the midst is no error; all else is told."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class GuardedHandler(BaseHTTPRequestHandler):
    """Answers GET for whoever may ask; all other methods are refused until a subclass takes them."""

    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "agentkit", ""
    timeout = 60
    allowed = "GET"
    referrer = "no-referrer"
    """Referrer-Policy. With this one, a browser keeps secret from forms' receivers which site they come from."""
    command_name = "agentkit"
    """Whose terminal says more where there is a defect."""

    def answer(self, asked: SplitResult) -> None:
        """Answer a GET; errors may be left to the caller."""
        raise NotImplementedError

    def trouble_page(self, title: str, message: str) -> str:
        """A page that says what went wrong."""
        raise NotImplementedError

    def do_GET(self) -> None:
        if not self.server.own(self.headers.get("Host")):
            return self.trouble(HTTPStatus.FORBIDDEN, f"this server answers to {self.server.url} alone")
        if not self._may_link():
            return self.trouble(HTTPStatus.FORBIDDEN, "another site may not ask this server")
        self.guarded(lambda: self.answer(urlsplit(self.path)))

    def guarded(self, answer: Callable[[], None]) -> None:
        """Answer, or say what went wrong."""
        try:
            answer()
        except NotJudged as error:
            self.trouble(HTTPStatus.CONFLICT, str(error), "Nothing to show yet")
        except StoreError as error:
            self.trouble(HTTPStatus.SERVICE_UNAVAILABLE, str(error), "The store does not answer")
        except (AgentkitError, ValueError) as error:
            self.trouble(HTTPStatus.BAD_REQUEST, str(error), "That cannot be shown")
        except ConnectionError:
            raise
        except Exception:
            traceback.print_exc()
            self.trouble(HTTPStatus.INTERNAL_SERVER_ERROR, f"the terminal of {self.command_name} says more", "A defect")

    def refused(self) -> None:
        self.close_connection = True  # what the request carries is not read
        self.trouble(
            HTTPStatus.METHOD_NOT_ALLOWED, f"{self.command}: nothing can be changed here; expected {self.allowed}"
        )

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = do_TRACE = refused

    def _may_link(self) -> bool:
        """Other pages may link here, and no more: no script, picture or frame of theirs asks for anything."""
        site = self.headers.get("Sec-Fetch-Site", "none")
        navigation = (self.headers.get("Sec-Fetch-Mode"), self.headers.get("Sec-Fetch-Dest")) == (
            "navigate",
            "document",
        )
        return site in ("none", "same-origin") or navigation

    def trouble(self, status: HTTPStatus, message: str, title: str | None = None) -> None:
        self.send(self.trouble_page(title or status.phrase, message), status=status)

    def send(
        self,
        body: str | bytes,
        kind: str = HTML,
        *,
        status: int = HTTPStatus.OK,
        policy: str = _POLICY,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        content = body if isinstance(body, bytes) else body.encode("utf-8", "replace")
        self.send_response(status)
        always = {**_HEADERS, "Referrer-Policy": self.referrer, "Content-Security-Policy": policy}
        for name, value in {**always, **(headers or {})}.items():
            self.send_header(name, value)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", self.allowed)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for errors."""
