"""Are the fields of a document read out rightly, and none of them made up?

The completion is a JSON object, alone or in a fenced block. The step's golden completion holds the right one.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from agentkit.grade import RewardStep, reward

DEEPEST = 50
"""Levels of nesting beyond which a text is no document."""


@reward(points=5)
def is_json(step: RewardStep) -> float:
    """The completion is one JSON object and nothing else."""
    return _object(step.reply) is not None


@reward(points=20)
def right_fields(step: RewardStep) -> float | None:
    """F1 of each field, on average over the fields that either side has: words of texts, elements of lists.

    A field that is missing, or should not be there, is worth 0. Case, punctuation and spacing are let be.
    """
    golden = _object(step.golden or "")
    if golden is None:
        return None
    found = _object(step.reply) or {}
    fields = golden.keys() | found.keys()
    if not fields:
        return 1
    return sum(_f1(golden[name], found[name]) for name in fields if name in golden and name in found) / len(fields)


@reward(points=10)
def nothing_invented(step: RewardStep) -> float | None:
    """The share of the values that stand in the conversation, word for word; true, false and null need not."""
    found = _object(step.reply)
    if found is None:
        return 0
    values = [value for value in _leaves(found) if not isinstance(value, bool) and value is not None]
    if not values:
        return None
    source = f" {' '.join(word for message in step.prompt for word in _words(message.content))} "
    return sum(f" {' '.join(_words(value))} " in source for value in values) / len(values)


def _object(text: str) -> dict[str, Any] | None:
    inside = text.strip()
    if inside.startswith("```") and inside.endswith("```"):
        inside = inside[3:-3].removeprefix("json")
    if max(accumulate((it in "[{") - (it in "]}") for it in inside), default=0) > DEEPEST:
        return None
    try:
        found = json.loads(inside)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _f1(golden: Any, found: Any) -> float:
    """How far two values agree: 2 · shared / (one side + the other)."""
    right, said = Counter(_items(golden)), Counter(_items(found))
    whole = right.total() + said.total()
    return 2 * (right & said).total() / whole if whole else 1.0


def _items(value: Any) -> list[str]:
    """What is counted in a value: the elements of a list, the paths of an object, the words of anything else."""
    if isinstance(value, list):
        return [" ".join(_words(item)) if not isinstance(item, dict | list) else json.dumps(item) for item in value]
    if isinstance(value, dict):
        return [f"{name}={item}" for name, inside in value.items() for item in _items(inside)]
    return _words(value)


def _words(value: Any) -> list[str]:
    """Lower-case words; a number by its value, so that 12.50 is 12.5."""
    text = value if isinstance(value, str) else json.dumps(value)
    words = re.findall(r"\d+(?:[.,]\d+)*|\w+", text.casefold())
    return [_number(word) if word[0].isdigit() else word for word in words]


def _number(word: str) -> str:
    plain = word.replace(",", "")
    if not plain.isascii() or plain.count(".") > 1 or (plain.startswith("0") and "." not in plain):
        return word  # a version, or an identifier with leading zeros
    return f"{float(plain):.12g}" if len(plain) < 12 else plain


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inside in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inside)
    else:
        yield value
