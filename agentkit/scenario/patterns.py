"""Regular expressions: whether one can be used, and texts drawn from one.

A pattern is measured before a text is drawn from it, so that nested repeats cannot grow a text without bound, and what
cannot be drawn is found when a scenario is loaded. Texts depend on the random stream alone, never on a set's order.
"""

from __future__ import annotations

import functools
import re
import re._constants as constants  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import string
from collections.abc import Callable
from random import Random
from typing import Any

Draw = Callable[[Random], str]

MAX_DRAWN = 200
"""Characters of a text drawn from a pattern."""

MAX_PATTERN = 2_000
"""Characters of a pattern."""

_UNBOUNDED = constants.MAXREPEAT
_REPEAT_LIMIT = 8
"""How often a drawn text repeats what may be repeated without end."""

_TRIES = 100
_PRINTABLE = string.digits + string.ascii_letters + string.punctuation + " "
_WORD = string.digits + string.ascii_letters + "_"
_CATEGORIES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_NOT_DIGIT": "".join(char for char in _PRINTABLE if not char.isdigit()),
    "CATEGORY_WORD": _WORD,
    "CATEGORY_NOT_WORD": "".join(char for char in _PRINTABLE if char not in _WORD),
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": _PRINTABLE.strip(),
}


@functools.lru_cache(maxsize=2048)
def complaint(pattern: str) -> str | None:
    """Why a pattern cannot be matched safely, in words; None where it can."""
    if len(pattern) > MAX_PATTERN:
        return f"the pattern has {len(pattern):,} characters, {MAX_PATTERN:,} are allowed"
    try:
        re.compile(pattern)
        tree = parser.parse(pattern)
    except re.error as error:
        at = f" at character {error.pos + 1}" if error.pos is not None else ""
        return f"not a valid regular expression: {error.msg}{at}"
    except (RecursionError, OverflowError):
        return "not a valid regular expression: nested too deeply or too large"
    if _explodes(tree):
        return (
            "this pattern can take for ever on some texts: an endless repeat directly inside another, as in `(a+)+`; "
            "one of the two is enough"
        )
    return None


@functools.lru_cache(maxsize=2048)
def drawing_complaint(pattern: str) -> str | None:
    """Why no text can be drawn from a pattern, in words; None where one can."""
    said = complaint(pattern)
    if said:
        return said
    try:
        _, longest = _compiled(pattern)
    except _UndrawableError:
        return "texts can only be drawn from literals, classes, repeats, groups and alternatives"
    if longest > MAX_DRAWN:
        return f"it may draw {longest:,} characters, {MAX_DRAWN} are allowed; bound its repeats"
    if draw(pattern, Random(0)) is None:
        return "no text that matches it could be drawn"
    return None


def draw(pattern: str, random: Random) -> str | None:
    """A text that the whole pattern matches; None where a hundred tries gave none."""
    attempt, _ = _compiled(pattern)
    matches = re.compile(pattern).fullmatch
    return next((text for text in (attempt(random) for _ in range(_TRIES)) if matches(text)), None)


class _UndrawableError(ValueError):
    """The pattern holds something that no text is drawn from, such as a look-behind."""


@functools.lru_cache(maxsize=2048)
def _compiled(pattern: str) -> tuple[Draw, int]:
    return _sequence(parser.parse(pattern))


def _sequence(tree: Any) -> tuple[Draw, int]:
    """What draws a text for a parsed sequence, and the most characters that it can have."""
    parts = [_part(str(code), value) for code, value in tree]
    if len(parts) == 1:
        return parts[0]
    draws = [part for part, _ in parts]
    return lambda random: "".join([part(random) for part in draws]), sum(length for _, length in parts)


def _part(code: str, value: Any) -> tuple[Draw, int]:
    match code:
        case "LITERAL":
            char = chr(value)
            return lambda _: char, 1
        case "AT":
            return lambda _: "", 0
        case "ANY":
            return _one_of(_PRINTABLE), 1
        case "NOT_LITERAL":
            return _one_of(_PRINTABLE.replace(chr(value), "")), 1
        case "IN":
            return _one_of(_class(value)), 1
        case "SUBPATTERN":
            return _sequence(value[-1])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            low, high, body = value
            high = low + _REPEAT_LIMIT if high is _UNBOUNDED else int(high)
            inner, length = _sequence(body)
            return lambda random: "".join([inner(random) for _ in range(random.randint(low, high))]), length * high
        case "BRANCH":
            branches = [_sequence(branch) for branch in value[1]]
            draws = [branch for branch, _ in branches]
            return lambda random: random.choice(draws)(random), max(length for _, length in branches)
        case _:
            raise _UndrawableError(code)


def _one_of(chars: str) -> Draw:
    if not chars:
        raise _UndrawableError("an empty class")
    return lambda random: random.choice(chars)


def _class(items: Any) -> str:
    """The characters of a class such as `[^a-f\\d]`, in a fixed order; a negated one leaves printable characters."""
    chars: list[str] = []
    negated = False
    for code, value in items:
        match str(code):
            case "NEGATE":
                negated = True
            case "LITERAL":
                chars.append(chr(value))
            case "RANGE":
                chars.extend(map(chr, range(value[0], min(value[1], value[0] + 10_000) + 1)))
            case "CATEGORY":
                chars.extend(_CATEGORIES[str(value)])
    return "".join(char for char in _PRINTABLE if char not in chars) if negated else "".join(chars)


def _explodes(tree: Any) -> bool:
    """Whether an endless repeat holds nothing certain but another endless repeat."""
    for code, value in tree:
        match str(code):
            case "MAX_REPEAT" | "MIN_REPEAT":
                body = value[2]
                endless = value[1] is _UNBOUNDED
                if (endless and _is_endless(body)) or _explodes(body):
                    return True
            case "SUBPATTERN" | "ASSERT" | "ASSERT_NOT":
                if _explodes(value[-1]):
                    return True
            case "BRANCH":
                if any(_explodes(branch) for branch in value[1]):
                    return True
    return False


def _is_endless(tree: Any) -> bool:
    """Whether one endless repeat alone can be all that a sequence matches."""
    certain = [item for item in tree if not _may_be_empty([item])]
    candidates = certain if certain else list(tree)
    if len(certain) > 1:
        return False
    return any(_holds_endless(item) for item in candidates)


def _holds_endless(item: Any) -> bool:
    code, value = str(item[0]), item[1]
    if code in ("MAX_REPEAT", "MIN_REPEAT"):
        return value[1] is _UNBOUNDED or _is_endless(value[2])
    if code == "SUBPATTERN":
        return _is_endless(value[-1])
    return code == "BRANCH" and any(_is_endless(branch) for branch in value[1])


def _may_be_empty(tree: Any) -> bool:
    for code, value in tree:
        match str(code):
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                empty = value[0] == 0 or _may_be_empty(value[2])
            case "SUBPATTERN":
                empty = _may_be_empty(value[-1])
            case "BRANCH":
                empty = any(_may_be_empty(branch) for branch in value[1])
            case "AT" | "ASSERT" | "ASSERT_NOT":
                empty = True
            case _:
                empty = False
        if not empty:
            return False
    return True
