"""The pages: one answer to judge, the queue, what all labels say together, and who is judging."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from jinja2 import Environment
from markupsafe import Markup, escape

from agentkit.collect.feedback.answer import offered
from agentkit.collect.labels.agreement import FEWEST, Agreement
from agentkit.collect.labels.kappa import Kappa
from agentkit.collect.labels.queue import Item, Progress
from agentkit.config import LabelSettings
from agentkit.records import Exchange, Feedback
from agentkit.report.wording import percent, plural
from agentkit.web.label.shown import Shown, laid_out
from agentkit.web.label.spacing import content_of, editable
from agentkit.web.templating import environment, styles

_HERE = Path(__file__).parent
_LISTED = 100
"""Items of the queue that are listed."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What every page says: who is judging, how far, and how far to trust it."""

    expert: str
    fixed: bool
    """Whether the server was started for this expert alone."""
    token: str
    progress: Progress
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Draft:
    """A better answer as it stands in the editor."""

    form: str
    """`text`, `call` or `message`."""
    text: str
    tool: str
    arguments: str
    message: str
    comment: str = ""
    open: bool = False
    tools: Sequence[str] = field(default=())
    several: bool = False
    """Whether the given answer makes several calls, which only the whole message can hold."""


def answer_page(
    sheet: Sheet,
    exchange: Exchange,
    talk: Shown,
    draft: Draft,
    settings: LabelSettings,
    *,
    label: Feedback | None = None,
    trouble: str = "",
    notice: str = "",
) -> str:
    """One answer to judge; `label`: what this expert has said of it already."""
    return _page(
        "answer.html",
        sheet,
        exchange=exchange,
        talk=talk,
        draft=draft,
        rubric=settings.rubrics.get(exchange.step, settings.rubric),
        label=label,
        trouble=trouble,
        notice=notice,
    )


def done_page(sheet: Sheet, notice: str = "") -> str:
    """Nothing is open for this expert."""
    return _page("done.html", sheet, notice=notice)


def queue_page(sheet: Sheet, items: Sequence[Item]) -> str:
    """What is open, in the order in which it is asked for."""
    return _page("queue.html", sheet, items=items)


def agreement_page(sheet: Sheet) -> str:
    """What the labels say about those who gave them."""
    return _page("agreement.html", sheet, fewest=FEWEST)


def name_page(token: str, settings: LabelSettings, trouble: str = "") -> str:
    """Who is judging?"""
    return _environment().get_template("name.html").render(token=token, experts=settings.experts, trouble=trouble)


def trouble_page(title: str, message: str) -> str:
    """What went wrong."""
    return _environment().get_template("trouble.html").render(title=title, message=message)


def first(items: Iterable[Item]) -> list[Item]:
    """As many items as are listed."""
    return list(islice(items, _LISTED))


def draft_of(exchange: Exchange, fields: Mapping[str, str] | None = None) -> Draft:
    """The given answer in the editor, to be mended; or what was sent and could not be taken."""
    given = exchange.response or {}
    calls = [it.get("function") or {} for it in given.get("tool_calls") or () if isinstance(it, Mapping)]
    tools = tuple(offered(exchange.request))
    found = Draft(
        form="message" if len(calls) > 1 else "call" if calls and tools else "text",
        text=editable(content_of(given)),
        tool=str(calls[0].get("name", "")) if calls else "",
        arguments=_arguments(calls[0].get("arguments")) if calls else "{}",
        message=orjson.dumps(given, option=orjson.OPT_INDENT_2, default=str).decode() if len(calls) > 1 else "",
        tools=tools,
        several=len(calls) > 1,
    )
    if fields is None:
        return found
    return replace(
        found,
        form=fields.get("form", found.form),
        text=fields.get("text", found.text),
        tool=fields.get("tool", found.tool),
        arguments=fields.get("arguments", found.arguments),
        message=fields.get("message", found.message),
        comment=fields.get("comment", ""),
        open=fields.get("mark") == "better",
    )


def item_path(response: str) -> str:
    """The address of one answer."""
    return f"/item/{quote(response, safe='')}"


@lru_cache(maxsize=2)
def asset(name: str) -> str:
    """`label.css`, which begins with the report's own styles, or `label.js`."""
    own = (_HERE / "assets" / name).read_text(encoding="utf-8")
    return "\n".join([styles("base", "tables", "reader"), own]) if name.endswith(".css") else own


def _arguments(arguments: Any) -> str:
    if isinstance(arguments, str):
        return laid_out(arguments) or arguments
    return orjson.dumps(arguments, option=orjson.OPT_INDENT_2, default=str).decode()


def _kept(text: str) -> Markup:
    """A text in an editor: escaped, and otherwise as it is."""
    return escape(text)


def _kappa(it: Kappa) -> str:
    """`0.62 (0.31 to 0.88)`."""
    if it.estimate is None:
        return "not defined"
    return f"{it.estimate:.2f} ({it.low:.2f} to {it.high:.2f})".replace("-", "−")


def _page(template: str, sheet: Sheet, **context: Any) -> str:
    return _environment().get_template(template).render(sheet=sheet, **context)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = environment(_HERE / "templates", brand="label", style="label.css", home="Judge")
    made.filters.update(percent=percent, kappa=_kappa, kept=_kept)
    made.globals.update(plural=plural, item_path=item_path)
    return made
