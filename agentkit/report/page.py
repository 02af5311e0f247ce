"""The page itself: one file that asks nothing of anybody."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agentkit.records import GOLDEN
from agentkit.report.contents import Contents
from agentkit.report.parts import OUTCOMES, shown
from agentkit.report.text import visible
from agentkit.report.wording import (
    amount,
    between,
    coded,
    factor,
    gap_in_words,
    percent,
    plural,
    points,
    seconds,
)

SCRIPTS = (
    "dom",
    "data",
    "wording",
    "filter",
    "list",
    "tables",
    "steps",
    "trials",
    "chat",
    "grades",
    "beside",
    "reader",
    "routes",
    "main",
)
STYLES = ("base", "charts", "tables", "reader", "print")

FAULT_OF = {
    "infrastructure": "the infrastructure",
    "user": "the simulated user",
    "tool": "a tool",
    "judge": "a judge",
    "harness": "the harness",
}

_HERE = Path(__file__).parent
_MOST_MAPS, _MOST_STEPS, _MOST_FLAKY, _MOST_INVALID, _MOST_TURNED = 30, 400, 20, 200, 12


def render(contents: Contents) -> str:
    """The whole page. Equal contents give equal text."""
    style, script = _asset("css", STYLES), _asset("js", SCRIPTS)
    assets = {"policy": policy(style, script), "style": Markup(style), "script": Markup(script)}
    return _environment().get_template("page.html").render(**shown(contents), **assets)


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy: this style and this script, and nothing else from anywhere."""
    allowed = f"script-src {_hash(script)}; style-src {_hash(style)}"
    return f"default-src 'none'; {allowed}; img-src data:; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@lru_cache(maxsize=4)
def _asset(kind: str, names: tuple[str, ...]) -> str:
    """The files of one kind as one text."""
    parts = [(_HERE / "assets" / f"{name}.{kind}").read_text(encoding="utf-8") for name in names]
    joined = "\n".join(parts)
    return f'"use strict";\n(() => {{\n{joined}}})();\n' if kind == "js" else joined


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    made.filters.update(percent=percent, coded=coded)
    made.globals.update(
        amount=amount,
        between=between,
        difference=lambda after, before: points(None if after is None or before is None else after - before),
        gap=lambda group: factor(group.gap.log_ratio),
        gap_in_words=gap_in_words,
        plural=plural,
        seconds=seconds,
        sentence_case=lambda text: text[:1].upper() + text[1:],
        way=_way,
        golden=GOLDEN,
        outcomes=OUTCOMES,
        fault_of=FAULT_OF,
        most_maps=_MOST_MAPS,
        most_steps=_MOST_STEPS,
        most_flaky=_MOST_FLAKY,
        most_invalid=_MOST_INVALID,
        most_turned=_MOST_TURNED,
    )
    return made


def _way(after: float | None, before: float | None) -> str:
    """The class of a change: for better or for worse."""
    if after is None or before is None or abs(after - before) < 5e-4:
        return ""
    return "worse" if after < before else "better"
