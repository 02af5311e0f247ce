"""What is sent: the page of all runs, its numbers, its history, and pages that say what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from jinja2 import Environment

from agentkit.report.text import visible
from agentkit.report.wording import between, percent, plural
from agentkit.web.drawing import Drawer
from agentkit.web.history import History, chart, histories
from agentkit.web.overview import NEWEST, Line
from agentkit.web.templating import environment, styles

_HERE = Path(__file__).parent
_LONGEST = 200
"""Characters of a name that are shown."""


def runs_page(store: str) -> str:
    """The page; its script fills it."""
    return _environment().get_template("runs.html").render(store=store, newest=NEWEST)


def runs_document(lines: Sequence[Line]) -> bytes:
    """The numbers of the page as JSON, every one of them ready to be shown as text."""
    document = {"runs": [_row(line) for line in lines], "history": _token(histories(lines))}
    return orjson.dumps(document)


def history_part(lines: Sequence[Line], drawer: Drawer) -> str:
    """The histories as a part of the page."""
    drawn = [(it, drawer(chart, it)) for it in histories(lines)]
    return _environment().get_template("history.html").render(drawn=drawn)


def trouble_page(title: str, message: str) -> str:
    """A page that says what went wrong."""
    return _environment().get_template("trouble.html").render(title=title, message=message)


@lru_cache(maxsize=2)
def asset(name: str) -> str:
    """`view.css`, which begins with the report's own styles, or `view.js`."""
    own = (_HERE / "assets" / name).read_text(encoding="utf-8")
    if not name.endswith(".css"):
        return own
    return "\n".join([styles("base", "charts", "tables"), own])


def run_path(run: str) -> str:
    """The address of a run's report."""
    return f"/run/{quote(run, safe='')}"


def _row(line: Line) -> dict[str, Any]:
    run, it = line.run, line.figures
    agent = visible(run.agent)
    return {
        "id": run.id,
        "shown": visible(run.id),
        "path": run_path(run.id),
        "agent": agent if len(agent) <= _LONGEST else f"{agent[:_LONGEST]}…",
        "status": visible(run.status),
        "when": visible(run.created_at[:16].replace("T", " ")),
        "played": line.played,
        "planned": run.planned,
        "pending": line.pending,
        "of": plural(it.played, "trial") if it and line.pending else "",
        "compounded": percent(it.compounded.estimate) if it else "–",
        "range": between(it.compounded.low, it.compounded.high) if it else "",
        "success": percent(it.observed.estimate) if it else "–",
        "invalid": str(it.invalid) if it else "–",
    }


def _token(found: Sequence[History]) -> str:
    """Changes where the histories do."""
    runs = [[point.run for point in it.points] for it in found]
    return sha256(orjson.dumps(runs)).hexdigest()[:16] if runs else ""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = environment(brand="live", style="view.css", home="All runs")
    made.filters.update(percent=percent)
    made.globals.update(between=between, plural=plural, run_path=run_path)
    return made
