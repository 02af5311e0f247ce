"""Differences and verdicts in words that a product person understands."""

from __future__ import annotations

import math

from agentkit.gate.difference import Difference
from agentkit.measure import wording

_NOTHING = 5e-4
"""A difference too small to be shown."""


def points(value: float) -> str:
    """`0.05` → `5 points`, with a decimal below ten."""
    size = 100 * abs(value)
    text = f"{size:.0f}" if size >= 9.95 or abs(size - round(size)) < 0.05 else f"{size:.1f}"
    return f"{text} point{'' if text == '1' else 's'}"


def amount(it: Difference, value: float) -> str:
    """The size of a difference: in points, or in per cent more or less spent."""
    return f"{100 * math.expm1(abs(value)):.0f} %" if it.relative else points(value)


def level(it: Difference, value: float) -> str:
    """One side's number."""
    if it.kind == "cost":
        return f"${value:.3g}"
    if it.kind == "seconds":
        return f"{value:.3g} s"
    return percent(value)


def percent(value: float) -> str:
    """`79.5 %`, `80 %`: a decimal more than elsewhere, for what is compared is close."""
    return wording.percent(value, decimals=1)


def change(it: Difference) -> str:
    """`compounded accuracy 61 % → 48 %, 13 points lower`."""
    assert it.base is not None
    assert it.candidate is not None
    assert it.estimate is not None
    sides = f"{it.metric} {level(it, it.base)} → {level(it, it.candidate)}"
    if abs(it.estimate) < _NOTHING:
        return f"{sides}, no difference"
    return f"{sides}, {amount(it, it.estimate)} {_direction(it, it.estimate)}"


def interval(it: Difference) -> str:
    """`95 % interval: 5 to 21 points lower`, or `4 points lower to 3 points higher`."""
    assert it.low is not None
    assert it.high is not None
    near, far = sorted((it.low, it.high), key=abs)
    if near * far > 0 and abs(near) >= _NOTHING:
        unit = amount(it, far).partition(" ")
        ends = f"{amount(it, near).partition(' ')[0]} to {unit[0]} {unit[2]} {_direction(it, far)}"
    else:
        ends = f"{_end(it, it.low)} to {_end(it, it.high)}"
    return f"{100 * it.level:.0f} % interval: {ends}"


def worth(it: Difference) -> str:
    """What the comparison rests on: `100 pairs`, or `2 of 100 pairs count` where the others were not graded."""
    compared = it.units + it.ungraded
    what = f"pair{'s' * (compared != 1)}" if it.paired else "trials a side"
    return f"{it.units} of {compared} {what} count" if it.ungraded else f"{it.units} {what}"


def probability(value: float) -> str:
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"


def _end(it: Difference, value: float) -> str:
    return "none" if abs(value) < _NOTHING else f"{amount(it, value)} {_direction(it, value)}"


def _direction(it: Difference, value: float) -> str:
    if it.relative:
        return "more" if value < 0 else "less"
    return "lower" if value < 0 else "higher"
