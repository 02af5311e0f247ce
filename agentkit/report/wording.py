"""Numbers and verdicts as the page says them."""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from agentkit.measure import Summary, wording
from agentkit.measure.group import Group
from agentkit.measure.suite import Figure
from agentkit.report.text import visible

_ANYTHING = 0.995
"""Width of an interval that says nothing."""
_LONGEST_REASON = 120
"""Characters that a headline says of what is missing, which may be many variants."""


def percent(value: float | None) -> str:
    """`81 %`, `–` where there is no number. The space does not break."""
    return wording.percent(value, space="\N{NO-BREAK SPACE}")


def between(low: float | None, high: float | None) -> str:
    """`74–80 %`, or nothing where there is no interval."""
    if low is None or high is None:
        return ""
    return f"{percent(low)[:-2]}–{percent(high)}"


def points(value: float | None) -> str:
    """A difference of rates: `−8.1`, `+12`, in points."""
    if value is None:
        return "–"
    size = 100 * abs(value)
    text = f"{size:.0f}" if size >= 9.95 else f"{size:.1f}"
    return "0" if float(text) == 0 else f"{'−' if value < 0 else '+'}{text}"


def amount(value: float | None, unit: str = "") -> str:
    """Three digits of a number that is not a rate: `1,240`, `3.41 s`, `$0.00123`."""
    if value is None or not math.isfinite(value):
        return "–"
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    if digits and "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"${text}" if unit == "$" else f"{text}\N{NO-BREAK SPACE}{unit}".rstrip()


def seconds(value: float | None) -> str:
    """A time: `3.41 s`, `12 ms`."""
    return amount(1000 * value, "ms") if value is not None and 0 < value < 0.1 else amount(value, "s")


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 trial`, `10,200 trials`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def factor(figure: Figure) -> tuple[str, str]:
    """The gap as `×4.08` and its interval `3.74–4.44`."""
    if figure.estimate is None:
        return "–", ""
    ends = [None if end is None else math.exp(end) for end in (figure.low, figure.high)]
    low, high = (f"{end:.2f}" if end is not None else open_end for end, open_end in zip(ends, ("0", "∞"), strict=True))
    return f"×{math.exp(figure.estimate):.2f}", f"{low}–{high}"


def coded(text: str) -> Markup:
    """A sentence in which `names` stand between backticks, as elements."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(visible(part)) if at % 2 else escape(visible(part))
        for at, part in enumerate(parts)
    )


def gap_in_words(group: Group) -> str:
    """What the gap says of the agent."""
    gap = group.gap.log_ratio
    if gap.estimate is None:
        return gap.reason or "unknown"
    if gap.low is not None and gap.low > 0:
        return "it recovers, or its failures share conversations"
    if gap.high is not None and gap.high < 0:
        return "errors feed errors"
    told = "cannot be told from what independent steps would give"
    return f"{told}; {gap.reason}" if gap.reason else told


def verdict_sentence(agent: str, summary: Summary) -> str:
    """The run in one sentence, where there is no baseline to judge it by."""
    groups = summary.all, summary.golden, summary.off_path
    figures = [  # forks play single turns, which have no outcome
        ("{} of conversations go right", [group.observed for group in groups]),
        ("The steps compound to {}", [group.compounded for group in groups]),
    ]
    for said, (every, golden, off_path) in figures:
        if every.estimate is not None:
            told = said.format(percent(every.estimate))
            if golden.estimate is None or off_path.estimate is None:
                return f"{told} {'on' if off_path.estimate is None else 'off'} the golden path"
            return f"{told}: {percent(golden.estimate)} on the golden path, {percent(off_path.estimate)} off it"
    for said, (_, golden, off_path) in figures:
        if golden.estimate is not None:
            told = f"{said.format(percent(golden.estimate))} on the golden path"
            return f"{told}; the figure off it is not known: {_missing(off_path)}"
        if off_path.estimate is not None:
            told = f"{said.format(percent(off_path.estimate))} off the golden path"
            return f"{told}; the figure on it is not known: {_missing(golden)}"
    for said, (every, *_) in figures:
        if every.low is not None and every.high is not None and every.high - every.low < _ANYTHING:
            return f"{said.format(between(every.low, every.high))}: {_missing(every)}"
    missing = summary.all.observed if summary.forks is None else summary.all.compounded
    return f"Nothing can be said of {agent} yet: {_missing(missing)}"


def _missing(figure: Figure) -> str:
    reason = figure.reason or "no trial was judged"
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 1]}…"


def what_else(summary: Summary) -> str:
    """What the headline leaves out: what the steps compound to, and what to fix first."""
    compounded = summary.all.compounded
    said = []
    if compounded.estimate is not None and summary.all.observed.estimate is not None:
        said.append(
            f"The steps compound to {percent(compounded.estimate)} ({between(compounded.low, compounded.high)})."
        )
    first = next((it for it in summary.all.fix_first_skills or summary.all.fix_first if it.sentence), None)
    if first is not None and first.sentence is not None:
        said.append(f"{first.sentence[:1].upper()}{first.sentence[1:]}.")
    return " ".join(said)
