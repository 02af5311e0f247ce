"""A certificate as one HTML file: no script, nothing asked of anybody, made from the certificate's own document."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agentkit.errors import UsageError
from agentkit.report.text import visible
from agentkit.report.wording import between, percent, plural, points
from agentkit.tune.certificate import SCHEMA

_STYLES = (("agentkit.report", "base"), ("agentkit.report", "tables"), ("agentkit.report", "print"),
           ("agentkit.tune", "certificate"))  # fmt: skip
_WIDTH, _HEIGHT, _LEAST = 160, 20, 0.15
"""Of a drawn interval, in units of the drawing; and the least difference that its edge stands for."""

_VERDICTS = {
    "promote": ("pass", "Promote"),
    "refuse": ("fail", "Refuse"),
    "inconclusive": ("inconclusive", "Inconclusive"),
    "stopped": ("stopped", "Stopped by the audit"),
}
_OUTCOMES = {
    "pass": ("pass", "kept"),
    "fail": ("fail", "worse"),
    "inconclusive": ("inconclusive", "open"),
    "could_not_judge": ("inconclusive", "not judged"),
    "not_enough_pairs": ("", "few pairs"),
}
_WHOLE = {
    "success": "Success end to end",
    "compounded": "Compounded accuracy",
    "golden": "… on the golden path",
    "off_path": "… off the golden path",
}
_CREDIT = {"warm_start": "Warm start (warm start less base)", "reinforcement": "Reinforcement (tuned less warm start)"}
_OVER = {"gain": "Training as a whole", "reinforcement": "Reinforcement by itself"}


def render(document: Mapping[str, Any]) -> str:
    """The page of `Certificate.document()`, also of one that was read from a file. Equal documents give equal text.

    Raises UsageError where it is no certificate of this schema.
    """
    found = document.get("schema")
    if found != SCHEMA or document.get("verdict") not in _VERDICTS:
        said = f"schema {found!r} and verdict {document.get('verdict')!r}"
        raise UsageError(f"not a certificate: found {said}, expected schema {SCHEMA} and {', '.join(_VERDICTS)}")
    style = _style()
    return (
        _environment()
        .get_template("certificate.html")
        .render(
            it=document,
            verdict=_VERDICTS[document["verdict"]],
            scale=_scale(document),
            policy=policy(style),
            style=Markup(style),
        )
    )


def policy(style: str) -> str:
    """The Content-Security-Policy: this style, and nothing else from anywhere."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    allowed = f"style-src 'sha256-{digest}'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@lru_cache(maxsize=1)
def _style() -> str:
    return "\n".join(
        files(package).joinpath("assets", f"{name}.css").read_text(encoding="utf-8") for package, name in _STYLES
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("agentkit.tune"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    made.filters.update(percent=percent, points=points)
    made.globals.update(
        between=between,
        ends=_ends,
        drawn=_drawn,
        plural=plural,
        outcomes=_OUTCOMES,
        whole=_WHOLE,
        credit=_CREDIT,
        over=_OVER,
    )
    return made


def _ends(it: Mapping[str, Any] | None) -> str:
    """`+28 to +47`, in points; nothing where there is no interval."""
    if it is None or it["low"] is None or it["high"] is None:
        return ""
    return f"{points(it['low'])} to {points(it['high'])}"


def _scale(document: Mapping[str, Any]) -> float:
    """The difference that the edge of every drawn interval stands for, so that they can be compared."""
    rows = [*document["others"], *document["end_to_end"].values(), document["target"], *document["seeds"]]
    shown = [it["difference"] for it in rows if it["difference"] is not None]
    shown += [*document["credit"].values(), *document["over_seeds"].values()]
    ends: list[float] = [abs(it[end]) for it in shown for end in ("low", "high") if it[end] is not None]
    return min(1.0, max([_LEAST, *ends]))


def _drawn(it: Mapping[str, Any] | None, scale: float, margin: float | None) -> Markup:
    """An interval as a line with its estimate on it, the middle being no difference; the margin is dashed.

    The same stands in words beside it, so it is nothing to a reader that cannot see it.
    """
    if it is None or it["low"] is None or it["high"] is None:
        return Markup("")
    low, at, high = (_place(it[end], scale) for end in ("low", "estimate", "high"))
    middle, y = _WIDTH / 2, _HEIGHT / 2
    way = "gain" if it["low"] > 0 else "loss" if it["high"] < 0 else "even"
    limit = Markup("")
    if margin is not None and margin < scale:
        x = _place(-margin, scale)
        limit = Markup('<line class="limit" x1="{0}" y1="1" x2="{0}" y2="{1}"/>').format(f"{x:.1f}", _HEIGHT - 1)
    return Markup(
        '<svg class="interval {way}" viewBox="0 0 {width} {height}" aria-hidden="true">'
        '<line class="zero" x1="{middle}" y1="1" x2="{middle}" y2="{bottom}"/>{limit}'
        '<line class="span" x1="{low}" y1="{y}" x2="{high}" y2="{y}"/><circle cx="{at}" cy="{y}" r="4"/></svg>'
    ).format(
        way=way,
        width=_WIDTH,
        height=_HEIGHT,
        middle=middle,
        bottom=_HEIGHT - 1,
        limit=limit,
        low=f"{low:.1f}",
        high=f"{high:.1f}",
        at=f"{at:.1f}",
        y=y,
    )


def _place(value: float, scale: float) -> float:
    inside = max(-1.0, min(1.0, value / scale))
    return _WIDTH / 2 + inside * (_WIDTH / 2 - 5)
