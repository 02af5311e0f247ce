"""Finds what identifies people in a text: e-mail addresses, phone and card numbers, and the user's own patterns.

Every search looks at a text once, and at a bounded number of characters around each candidate, so that a long hostile
line costs no more than its length.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.errors import ConfigError
from agentkit.scenario.patterns import complaint


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """One place in a text."""

    start: int
    end: int
    kind: str
    """`email`, `phone`, `card`, or the name of a pattern."""
    value: str
    """What stands there, however it was written: digits without separators, an address in small letters."""


Search = Callable[[str], Iterable[Found]]

_AT = re.compile(r"(?:@|%40)((?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[A-Za-z]{2,24}|[^\W\d_]{2,24}))")
"""What follows is no part of an address: in many scripts words run on."""
_LOCAL = re.compile(r"[\w.!#$%'*+^`{|}~-]+\Z")
_LONGEST_LOCAL = 64

_DIGITS = re.compile(r"(?<!\d)\d(?:[ \u00a0.\-\u2010-\u2015]?\d){12,}(?!\d)")
_GROUP = re.compile(r"\d+")
_SHORTEST_CARD, _LONGEST_CARD = 13, 19
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}|62\d{14,17}"
)
_GROUPINGS = re.compile(r"(?:4 ){3}4(?: [1-3])?|4 6 [45]|\d+")

_PHONE = re.compile(r"(?<![A-Za-z\d+])[+(\uff0b\uff08]{0,2}\d[\d \u00a0().\-/\u2010-\u2015]{4,24}\d(?![A-Za-z\d])")
_MANY = 100
"""Candidates for phone numbers in one text that are looked at closely; after them, any of 7 to 15 digits is one."""
_SAYS_PHONE = re.compile(
    r"(?i)(?:phone|tel|mobile|cell|call|fax|sms|text|whatsapp|reach|ring|dial|handy|t[eé]l[eé]fono|rufnummer)"
    r"[^\d\n]{0,24}\Z"
)
_BEFORE = 40

_WINDOW, _OVERLAP = 4096, 512
"""Characters in which the user's own patterns are searched at a time: what a slow one can cost grows with the length
of the text alone. A match is that of the window in which it begins, before the overlap: so that it is seen with what
follows. What tells only after more than `_OVERLAP` characters that it is one may be missed where two windows meet."""


def searches(kinds: Iterable[str], regions: tuple[str, ...], patterns: Mapping[str, str]) -> tuple[Search, ...]:
    """What is to be searched for, in order of precedence.

    Raises:
        ConfigError: a pattern is no regular expression, can take for ever, or matches nothing; or no such region.
    """
    known: dict[str, Search] = {
        "email": emails,
        "card": cards,
        "phone": functools.partial(phones, regions=_known_regions(regions)),
    }
    own = [functools.partial(_matches, kind=kind, pattern=_compiled(kind, it)) for kind, it in patterns.items()]
    wanted = set(kinds)
    return (*own, *(search for kind, search in known.items() if kind in wanted))


def find(text: str, looking: Iterable[Search]) -> list[Found]:
    """What the searches find, in order of place; where two overlap, the earlier search has it."""
    found: list[Found] = []
    taken = bytearray(len(text))
    for search in looking:
        for it in search(text):
            if 1 not in taken[it.start : it.end]:
                taken[it.start : it.end] = b"\1" * (it.end - it.start)
                found.append(it)
    return sorted(found)


def emails(text: str) -> Iterator[Found]:
    if "@" not in text and "%40" not in text:
        return
    for at in _AT.finditer(text):
        local = _LOCAL.search(text[max(0, at.start() - _LONGEST_LOCAL) : at.start()])
        if local is None:
            continue
        # Quotes and sentences may lean on an address; they are no part of it.
        name = local[0].lstrip(".!#$%'*^`{|}~-+")
        if name:
            start = at.start() - len(name)
            yield Found(start, at.end(), "email", f"{name}@{at[1]}".lower())


def cards(text: str) -> Iterator[Found]:
    """Numbers of an issuer's form whose checksum holds, written as cards are: in one, or in groups of four."""
    for run in _DIGITS.finditer(text):
        groups = [(it.start() + run.start(), it[0]) for it in _GROUP.finditer(run[0])]
        first = 0
        while first < len(groups):
            last = _card(groups, first)
            if last is not None:
                end = groups[last][0] + len(groups[last][1])
                yield Found(groups[first][0], end, "card", "".join(it for _, it in groups[first : last + 1]))
            first = first + 1 if last is None else last + 1


def _card(groups: list[tuple[int, str]], first: int) -> int | None:
    """The last of the groups that make a card's number from `first` on."""
    from stdnum import luhn

    digits, lengths = "", ""
    for place in range(first, min(first + 6, len(groups))):
        digits += groups[place][1]
        lengths += f" {len(groups[place][1])}"
        if len(digits) > _LONGEST_CARD:
            return None
        if (
            len(digits) >= _SHORTEST_CARD
            and _GROUPINGS.fullmatch(lengths.strip())
            and _ISSUERS.fullmatch(digits)
            and luhn.is_valid(digits)
        ):
            return place
    return None


def phones(text: str, regions: tuple[str, ...]) -> Iterator[Found]:
    """Numbers that exist, with a country's code or as written in one of `regions`; digits in one piece without `+`
    only where the words before say that they are a phone's."""
    looked = taken = 0
    for candidate in _PHONE.finditer(text):
        digits = sum(map(str.isdigit, candidate[0]))
        if digits < 7:
            continue
        looked += 1
        if looked > _MANY:
            if digits <= 15:
                yield Found(candidate.start(), candidate.end(), "phone", _only_digits(candidate[0]))
            continue
        for it in sorted(_in_candidate(text, candidate, regions)):
            if it.start >= taken:
                taken = it.end
                yield it


def _in_candidate(text: str, candidate: re.Match[str], regions: tuple[str, ...]) -> Iterator[Found]:
    from phonenumbers import PhoneNumberFormat, PhoneNumberMatcher, format_number

    start, end = max(0, candidate.start() - _BEFORE), candidate.end() + _BEFORE
    around = text[start:end]
    for region in regions:
        for it in PhoneNumberMatcher(around, region):
            begin = start + it.start
            if begin < candidate.end() and (not it.raw_string.isdigit() or _is_said(text, begin)):
                value = format_number(it.number, PhoneNumberFormat.E164)
                yield Found(begin, begin + len(it.raw_string), "phone", value)


def _is_said(text: str, place: int) -> bool:
    return _SAYS_PHONE.search(text[max(0, place - _BEFORE) : place]) is not None


def is_phone_name(name: str) -> bool:
    """Whether a field so named holds phone numbers: `phone`, `mobile_number`."""
    return _SAYS_PHONE.search(name[-_BEFORE:]) is not None


def _only_digits(text: str) -> str:
    return "".join(it for it in text if it.isdigit())


def _matches(text: str, kind: str, pattern: re.Pattern[str]) -> Iterator[Found]:
    reached = 0
    for start in range(0, max(1, len(text)), _WINDOW - _OVERLAP):
        end = min(len(text), start + _WINDOW)
        overlap = len(text) if end == len(text) else end - _OVERLAP
        for it in pattern.finditer(text, max(start, reached), end):
            if it.start() >= overlap:
                break  # the next window sees more of it
            last = it.end() if it.end() <= overlap else _whole(text, pattern, it)
            if last > it.start():
                reached = last
                yield Found(it.start(), last, kind, text[it.start() : last])
        if end == len(text):
            return


def _whole(text: str, pattern: re.Pattern[str], it: re.Match[str]) -> int:
    """Where a match ends that may be cut. One that fills a window has no end that is known: it takes the rest of the
    text with it, rather than leave some of it."""
    limit = it.start() + _WINDOW
    more = pattern.match(text, it.start(), limit)
    last = it.end() if more is None else max(it.end(), more.end())
    return len(text) if last >= limit else last


def _compiled(kind: str, pattern: str) -> re.Pattern[str]:
    said = complaint(pattern)
    if said is None and re.compile(pattern).fullmatch(""):
        said = "it matches the empty text, and so everywhere"
    if said is not None:
        raise ConfigError(f"[tool.agentkit.collect] patterns.{kind}: found {pattern!r}: {said}")
    return re.compile(pattern)


def _known_regions(regions: tuple[str, ...]) -> tuple[str, ...]:
    from phonenumbers import SUPPORTED_REGIONS

    from agentkit.errors import near_match

    for place, region in enumerate(regions):
        if region not in SUPPORTED_REGIONS:
            known: Any = SUPPORTED_REGIONS
            raise ConfigError(
                f"[tool.agentkit.collect] phone_regions[{place}]: found {region!r}, expected a country by its "
                f"two letters (ISO 3166){near_match(region, known)}"
            )
    return regions or ("ZZ",)
