"""The server: on loopback, for this machine's own browser, and only to be read from."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import SplitResult, parse_qs, unquote

from agentkit.errors import StoreError, UsageError
from agentkit.records import Run
from agentkit.store import Store
from agentkit.web.drawing import Drawer
from agentkit.web.guarded import CSS, HOST, JAVASCRIPT, JSON, GuardedHandler, LoopbackServer
from agentkit.web.live import Compared, Live
from agentkit.web.overview import Overview
from agentkit.web.pages import asset, history_part, runs_document, runs_page, trouble_page

__all__ = ["HOST", "Viewer"]

_REPORT_POLICY = "frame-ancestors 'none'"
"""Beside the policy in the report itself, which allows its own script and style by their hashes."""

_NO_RUN, _NO_PAGE = "No such run", "No such page"


class Viewer(LoopbackServer):
    """Serves a store's runs on 127.0.0.1. Raises OSError where the port is taken."""

    def __init__(self, store: Store, compared: Compared, port: int = 0) -> None:
        super().__init__(_Handler, port)
        self.store = store
        self.overview = Overview(store)
        self.drawer = Drawer()
        self.live = Live(store, compared, self.drawer)

    def server_close(self) -> None:
        super().server_close()
        if hasattr(self, "drawer"):  # else the port was taken
            self.drawer.close()


class _Handler(GuardedHandler):
    server: Viewer
    command_name = "agentkit view"

    def trouble_page(self, title: str, message: str) -> str:
        return trouble_page(title, message)

    def answer(self, asked: SplitResult) -> None:
        pages: dict[str, Callable[[], None]] = {
            "/": lambda: self.send(runs_page(self.server.store.url)),
            "/api/runs": lambda: self.send(runs_document(self.server.overview.lines()), JSON),
            "/history": lambda: self.send(history_part(self.server.overview.lines(), self.server.drawer)),
            "/assets/view.css": lambda: self.send(asset("view.css"), CSS),
            "/assets/view.js": lambda: self.send(asset("view.js"), JAVASCRIPT),
            "/compare": lambda: self._compare(asked.query),
        }
        if asked.path in pages:
            pages[asked.path]()
        elif asked.path.startswith("/run/"):
            self._report(unquote(asked.path.removeprefix("/run/")))
        else:
            self.trouble(HTTPStatus.NOT_FOUND, f"nothing is at {unquote(asked.path)!r}", _NO_PAGE)

    def _report(self, name: str) -> None:
        if run := self._found(name):
            self.send(self.server.live.report(run), policy=_REPORT_POLICY)

    def _compare(self, query: str) -> None:
        told = parse_qs(query, max_num_fields=8)
        names = [told.get(side, []) for side in ("base", "candidate")]
        if any(len(given) != 1 for given in names):
            raise UsageError("expected one run for each side: /compare?base=RUN&candidate=RUN")
        base = self._found(names[0][0])
        candidate = self._found(names[1][0]) if base else None
        if base and candidate:
            self.send(self.server.live.comparison(base, candidate), policy=_REPORT_POLICY)

    def _found(self, name: str) -> Run | None:
        """The run, or None once the browser was told that there is none."""
        try:
            return self.server.store.run(name)
        except StoreError as error:
            self.trouble(HTTPStatus.NOT_FOUND, str(error), _NO_RUN)
            return None
