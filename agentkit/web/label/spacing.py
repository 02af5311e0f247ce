"""JSON in the editor: laid out to be read, and kept in the spacing in which the answer was given, so that what a better
answer teaches is what is better in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from agentkit.report.text import LONGEST

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_EMPTY = ("{}", "[]")


@dataclass(frozen=True, slots=True)
class _Spacing:
    """What stands between the tokens."""

    item: str = ""
    """After a comma."""
    key: str = ""
    """After a colon."""
    inner: str = ""
    """Within braces, on both sides."""
    indent: str | None = None
    """Of one level, where each item has a line of its own."""


_LAID_OUT = _Spacing(key=" ", indent="  ")


def content_of(answer: Mapping[str, Any] | None) -> str:
    """What a captured answer says; '' where it says nothing."""
    content = (answer or {}).get("content")
    return content if isinstance(content, str) else ""


def editable(given: str) -> str:
    """A given text as it stands in the editor: JSON laid out, where its own spacing follows a rule; else as it is."""
    tokens = _tokens(given)
    return given if tokens is None or _spacing_of(given) is None else _written(tokens, _LAID_OUT)


def as_given(sent: str, given: str) -> str:
    """What came back from the editor: the given text itself where nobody touched it, JSON in the given spacing."""
    if sent == editable(given).replace("\r\n", "\n").replace("\r", "\n"):
        return given
    spacing, tokens = _spacing_of(given), _tokens(sent)
    if spacing is None or tokens is None:
        return sent
    inside = given.strip()
    before, _, after = given.partition(inside)
    return f"{before}{_written(tokens, spacing)}{after}"


def _tokens(text: str) -> list[str] | None:
    """Of a JSON object or list; None of any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return _TOKEN.findall(text)


def _spacing_of(text: str) -> _Spacing | None:
    """That of JSON; None of any other text, of a very long one, and where it follows no rule."""
    tokens = None if len(text) > LONGEST else _tokens(text)
    if tokens is None:
        return None
    gaps: dict[str, str] = {}
    for one, other in pairwise(_TOKEN.finditer(text)):
        if one[0] + other[0] not in _EMPTY:
            gaps.setdefault(one[0], text[one.end() : other.start()])
    first = gaps.get(tokens[0], "")
    if first.startswith("\n"):
        found = _Spacing(key=gaps.get(":", " "), indent=first[1:])
    else:
        item = gaps.get(",", gaps.get(":", ""))
        found = _Spacing(item, gaps.get(":", item), gaps.get("{", ""))
    return found if _written(tokens, found) == text.strip() else None


def _written(tokens: Sequence[str], spacing: _Spacing) -> str:
    found: list[str] = []
    depth = 0
    for before, token in pairwise(["", *tokens]):
        depth -= token in ("}", "]")
        found += [_gap(before, token, depth, spacing), token]
        depth += token in ("{", "[")
    return "".join(found)


def _gap(before: str, after: str, depth: int, spacing: _Spacing) -> str:
    if not before or after in (",", ":") or before + after in _EMPTY:
        return ""
    if before == ":":
        return spacing.key
    if spacing.indent is not None:
        return f"\n{spacing.indent * depth}"
    if before == ",":
        return spacing.item
    return spacing.inner if before == "{" or after == "}" else ""
