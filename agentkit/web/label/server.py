"""The server of the label page: on loopback, for this machine's own browser, and changed only by its own forms."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import SplitResult, parse_qs, unquote

from agentkit.collect.feedback.cleaned import Cleaner, project_cleaner
from agentkit.collect.labels.experts import expert_name
from agentkit.collect.labels.label import add_label, undo
from agentkit.collect.labels.queue import Queue
from agentkit.config import LabelSettings
from agentkit.errors import FeedbackError, UsageError
from agentkit.records import Exchange, Feedback, ResponseId, Source
from agentkit.store import Store
from agentkit.web.guarded import CSS, JAVASCRIPT, GuardedHandler, LoopbackServer
from agentkit.web.label import pages
from agentkit.web.label.desk import Desk
from agentkit.web.label.pages import Sheet
from agentkit.web.label.sent import Seals, answer_in, mark_in, read_fields, refused
from agentkit.web.label.shown import shown

_SAID = {
    "right": "Judged right.",
    "wrong": "Judged wrong.",
    "better": "The better answer is kept.",
    "skip": "Left for others.",
    "undone": "Taken back: judge it anew.",
    "nothing": "There is nothing to take back.",
}
"""What was done, told on the page that follows."""


class Labeller(LoopbackServer):
    """Serves the queue of a store's captured answers on 127.0.0.1.

    Args:
        expert: whoever judges here; None: the page asks.

    Raises:
        OSError: the port is taken.
        UsageError: the expert may not judge.
    """

    def __init__(
        self,
        store: Store,
        settings: LabelSettings | None = None,
        *,
        expert: str | None = None,
        port: int = 0,
        cleaner: Cleaner | None = None,
    ) -> None:
        settings = settings or LabelSettings()
        self.expert = None if expert is None else expert_name(expert, settings)
        self.cleaner = cleaner or project_cleaner()
        self.store = store
        self.settings = settings
        self.desk = Desk(store, settings)
        self.seals = Seals()
        super().__init__(_Handler, port)

    @property
    def cookie(self) -> str:
        """Its name: cookies of 127.0.0.1 are shared by all its ports."""
        return f"agentkit-label-{self.port}"


class _Handler(GuardedHandler):
    server: Labeller
    allowed = "GET, POST"
    referrer = "same-origin"
    command_name = "agentkit label"

    def trouble_page(self, title: str, message: str) -> str:
        return pages.trouble_page(title, message)

    def answer(self, asked: SplitResult) -> None:
        if asked.path.startswith("/assets/"):
            return self._asset(asked.path)
        expert = self._expert()
        if expert is None:
            return self.send(pages.name_page(self.server.seals.token(""), self.server.settings))
        notice = _SAID.get(parse_qs(asked.query, max_num_fields=4).get("said", [""])[0], "")
        views: dict[str, Callable[[], None]] = {
            "/": lambda: self._next(expert, notice),
            "/queue": lambda: self._queue(expert),
            "/agreement": lambda: self.send(pages.agreement_page(self._sheet(expert))),
        }
        if asked.path in views:
            views[asked.path]()
        elif asked.path.startswith("/item/"):
            self._item(expert, unquote(asked.path.removeprefix("/item/")), notice)
        else:
            self.trouble(HTTPStatus.NOT_FOUND, f"nothing is at {unquote(asked.path)!r}", "No such page")

    def do_POST(self) -> None:
        if not self.server.own(self.headers.get("Host")):
            self.close_connection = True
            return self.trouble(HTTPStatus.FORBIDDEN, f"this server answers to {self.server.url} alone")
        self.guarded(self._change)

    def _change(self) -> None:
        fields = self._fields()
        if fields is None:
            return
        expert = self._expert()
        if not self.server.seals.holds(fields.get("token", ""), expert or ""):
            return self.trouble(HTTPStatus.FORBIDDEN, "this form is not of this page, or the server has been restarted")
        if self.path == "/name" and self.server.expert is None:
            return self._name(fields)
        if self.path == "/label" and expert is not None:
            return self._label(expert, fields)
        if self.path == "/undo" and expert is not None:
            return self._undo(expert)
        self.trouble(HTTPStatus.NOT_FOUND, f"nothing can be sent to {self.path!r}", "No such page")

    def _fields(self) -> dict[str, str] | None:
        """The form, or None once the browser was told why it is not taken."""
        refusal = refused(self.headers, self.server.own)
        if refusal is not None:
            self.close_connection = True  # what the request carries is not read
            self.trouble(*refusal)
            return None
        return read_fields(self.rfile.read(int(self.headers["Content-Length"])))

    def _name(self, fields: dict[str, str]) -> None:
        try:
            expert = expert_name(fields.get("name", ""), self.server.settings)
        except UsageError as error:
            page = pages.name_page(self.server.seals.token(""), self.server.settings, str(error))
            return self.send(page, status=HTTPStatus.BAD_REQUEST)
        self._go("/", cookie=self.server.seals.cookie(self.server.cookie, expert))

    def _label(self, expert: str, fields: dict[str, str]) -> None:
        exchange = self._found(fields.get("response", ""))
        if exchange is None:
            return
        try:
            mark = mark_in(fields)
            answer = answer_in(fields, exchange.response) if mark == "better" else None
            comment = fields.get("comment", "")
            add_label(
                self.server.store, expert, exchange, mark, answer=answer, comment=comment, cleaner=self.server.cleaner
            )
        except (FeedbackError, UsageError) as error:
            status = HTTPStatus(getattr(error, "status", 400))
            if status is HTTPStatus.NOT_FOUND:
                return self.trouble(status, str(error), "No such answer")
            return self._show(expert, exchange, trouble=str(error), fields=fields, status=status)
        self._go(f"/?said={mark.value}")

    def _undo(self, expert: str) -> None:
        gone = undo(self.server.store, expert)
        if gone is None or gone.response is None:
            return self._go("/?said=nothing")
        self._go(f"{pages.item_path(gone.response)}?said=undone")

    def _next(self, expert: str, notice: str) -> None:
        queue = self.server.desk.queue()
        item = next(queue.items(expert), None)
        exchange = None if item is None else self.server.desk.exchange(item.answer.id)
        if exchange is None:
            return self.send(pages.done_page(self._sheet(expert, queue), notice))
        self._show(expert, exchange, notice=notice, queue=queue)

    def _queue(self, expert: str) -> None:
        queue = self.server.desk.queue()
        self.send(pages.queue_page(self._sheet(expert, queue), pages.first(queue.items(expert))))

    def _item(self, expert: str, response: str, notice: str) -> None:
        if exchange := self._found(response):
            self._show(expert, exchange, notice=notice)

    def _show(
        self,
        expert: str,
        exchange: Exchange,
        *,
        notice: str = "",
        trouble: str = "",
        fields: dict[str, str] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
        queue: Queue | None = None,
    ) -> None:
        page = pages.answer_page(
            self._sheet(expert, queue),
            exchange,
            shown(exchange, self.server.desk.talk(exchange)),
            pages.draft_of(exchange, fields),
            self.server.settings,
            label=self._own(expert, exchange.id),
            trouble=trouble,
            notice=notice,
        )
        self.send(page, status=status)

    def _own(self, expert: str, response: ResponseId) -> Feedback | None:
        said = self.server.store.feedback(response=response, source=Source.EXPERT, by=expert)
        return said[-1] if said else None

    def _found(self, response: str) -> Exchange | None:
        """The exchange, or None once the browser was told that there is none."""
        exchange = self.server.desk.exchange(response)
        if exchange is None:
            self.trouble(HTTPStatus.NOT_FOUND, f"no captured answer {response[:80]!r}", "No such answer")
        return exchange

    def _sheet(self, expert: str, queue: Queue | None = None) -> Sheet:
        desk, fixed = self.server.desk, self.server.expert is not None
        progress = (queue or desk.queue()).progress(expert)
        return Sheet(expert, fixed, self.server.seals.token(expert), progress, desk.agreement())

    def _expert(self) -> str | None:
        if self.server.expert is not None:
            return self.server.expert
        name = self.server.seals.expert(self.server.cookie, self.headers.get("Cookie"))
        return (
            name if name is None or not self.server.settings.experts or name in self.server.settings.experts else None
        )

    def _asset(self, path: str) -> None:
        kinds = {"/assets/label.css": CSS, "/assets/label.js": JAVASCRIPT}
        if path not in kinds:
            return self.trouble(HTTPStatus.NOT_FOUND, f"nothing is at {unquote(path)!r}", "No such page")
        self.send(pages.asset(path.removeprefix("/assets/")), kinds[path])

    def _go(self, path: str, *, cookie: str | None = None) -> None:
        """On to another page of this server, by GET."""
        headers = {"Location": path} | ({"Set-Cookie": cookie} if cookie else {})
        self.send("", status=HTTPStatus.SEE_OTHER, headers=headers)
