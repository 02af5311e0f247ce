"""Numbers in words that a product person understands."""

from __future__ import annotations

from collections.abc import Mapping

Change = tuple[float, float]
"""A rate before and after, 0 to 1."""


def percent(value: float | None, *, decimals: int = 0, space: str = " ") -> str:
    """`81 %`, with as many decimals as it takes not to claim certainty; `–` where there is no number.

    `decimals` is how many it has at least, where they are not zeros; `space` stands before the sign.
    """
    if value is None:
        return "–"
    value = round(value, 9)  # weights that sum to 1 only nearly do so
    for digits in range(decimals, 4):
        text = f"{100 * value:.{digits}f}"
        if value in (0.0, 1.0) or float(text) not in (0.0, 100.0):
            break
    else:
        text = "<0.001" if value < 0.5 else ">99.999"
    return f"{_without_zeros(text) if decimals else text}{space}%"


def lift_sentence(label: str, change: Change, lifts: Mapping[str, Change]) -> str:
    """What mending `label` gives: "bringing `x` from 81 % to 95 % lifts the whole conversation from 47 % to
    55 %"."""
    start = f"bringing `{label}` from {span(change)}"
    if all(after == before for before, after in lifts.values()):
        return f"{start} lifts nothing by itself: another step of the same conversation never passed"
    return f"{start} lifts {' and '.join(f'{what} from {span(lift)}' for what, lift in lifts.items())}"


def span(change: Change) -> str:
    """`47 % to 55 %`, with as many decimals as it takes to tell both ends apart, and from 0 and 100."""
    for digits in range(5):
        texts = [f"{100 * value:.{digits}f}" for value in change]
        honest = all(value in (0, 1) or 0 < float(text) < 100 for value, text in zip(change, texts, strict=True))
        if honest and (texts[0] != texts[1] or change[0] == change[1]):
            break
    return f"{texts[0]} % to {texts[1]} %"


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
