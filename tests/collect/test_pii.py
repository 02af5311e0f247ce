"""What identifies people is found, what only looks like it stays, and no text takes long."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import phonenumbers
import pytest
from stdnum import luhn

from agentkit.collect import pii
from agentkit.collect.pii import Search, find, searches
from agentkit.errors import ConfigError

ALL = ("email", "phone", "card")
LOOKING = searches(ALL, ("US",), {"patient": r"P-[0-9]{6}"})

FOUND = [
    ("mail anna.b+x@Example.org.", "email", "anna.b+x@Example.org"),
    ("<anna@example.org>", "email", "anna@example.org"),
    ("(see 'jürgen@bücher.de')", "email", "jürgen@bücher.de"),
    ("https://x.org/?u=user%40mail.example&a=1", "email", "user%40mail.example"),
    ("-" * 80 + "anna@example.org", "email", "anna@example.org"),
    ("call (415) 555-2671 now", "phone", "(415) 555-2671"),
    ("415.555.2671", "phone", "415.555.2671"),
    ("+44 20 7946 0958, please", "phone", "+44 20 7946 0958"),
    ("tel:+4915123456789", "phone", "+4915123456789"),
    ("my phone is 4155552671", "phone", "4155552671"),
    ("Card 4111 1111 1111 1111 12/27", "card", "4111 1111 1111 1111"),
    ("order 12, 4111-1111-1111-1111", "card", "4111-1111-1111-1111"),
    ("5555555555554444", "card", "5555555555554444"),
    ("3782 822463 10005", "card", "3782 822463 10005"),
    ("patient P-123456!", "patient", "P-123456"),
]

LEFT = [
    "order 4155552671 from 2026-03-01 12:30",
    "S-10234, SKU-2041, M-120001 and 0x4155552671",
    "paid 12.50, 1,299.00 and 1 299 000,00 on 01/03/2026",
    "4111111111111112 fails the checksum, 1234 5678 9012 3456 is no issuer's",
    "550e8400-e29b-41d4-a716-446655440000",
    "1772366400000 or 2026-03-01T12:00:00.000+00:00",
    "192.168.100.200 and 10.0.0.1:8080",
    "tracking 1Z999AA10123456784, ISBN 978-3-16-148410-0",
    "@anna, user@localhost, pkg@1.2.3, price @ 3.50",
    "1-2-3 and 4-5-6 of 7 items, 8 x 9",
    "P-12345 is too short",
]


@pytest.mark.parametrize(("text", "kind", "there"), FOUND)
def test_what_identifies_people_is_found(text: str, kind: str, there: str) -> None:
    assert [(it.kind, text[it.start : it.end]) for it in find(text, LOOKING)] == [(kind, there)]


@pytest.mark.parametrize("text", LEFT)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert find(text, LOOKING) == []


def test_several_beside_each_other_are_each_found() -> None:
    text = "(415) 555-2671 (415) 555-2672, a@b.org;c@d.org 4111111111111111 5555 5555 5555 4444"
    found = [(it.kind, it.value) for it in find(text, LOOKING)]
    assert found == [
        ("phone", "+14155552671"),
        ("phone", "+14155552672"),
        ("email", "a@b.org"),
        ("email", "c@d.org"),
        ("card", "4111111111111111"),
        ("card", "5555555555554444"),
    ]


def test_one_value_is_one_however_it_is_written() -> None:
    for texts in (
        ("+1 415 555 2671", "(415) 555-2671", "phone 4155552671"),
        ("Anna@Example.org", "anna@example.org", "anna%40example.org"),
        ("4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111"),
    ):
        assert len({it.value for text in texts for it in find(text, LOOKING)}) == 1


def test_regions_and_kinds_are_chosen() -> None:
    assert [it.value for it in find("020 7946 0958", searches(ALL, ("US", "GB"), {}))] == ["+442079460958"]
    assert find("020 7946 0958 a@b.org", searches(("card",), ("GB",), {})) == []


def test_a_pattern_goes_before_what_is_known() -> None:
    looking = searches(ALL, ("US",), {"customer": r"[a-z]+@shop\.example"})
    assert [it.kind for it in find("anna@shop.example bob@other.example", looking)] == ["customer", "email"]


def parts(text: str, pattern: str) -> list[str]:
    """What a pattern of the project's own takes out of a text."""
    return [text[it.start : it.end] for it in find(text, searches((), (), {"own": pattern}))]


def test_an_identifier_at_a_windows_end_goes_whole() -> None:
    text = "." * 4092 + "P-123456, P-7."
    assert parts(text, r"P-[0-9]+") == ["P-123456", "P-7"]


@pytest.mark.parametrize(
    ("pattern", "there"),
    [
        (r"P-[0-9]+", "P-123456"),
        (r"P-[0-9]{3}(?![0-9])", "P-123"),
        (r"P-[0-9]+(?:-[0-9]+)?", "P-123-456"),
        (r"(?<=id )[0-9]+\b", "123456"),
        (r"P-[0-9]+", "P-" + "1" * 14),
        (r"P-[0-9]+", "P-" + "1" * 50),
        (r"P(?:-[0-9]{3})+", "P" + "-123" * 15),
    ],
)
def test_a_match_is_found_whole_wherever_windows_meet(
    pattern: str, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pii, "_WINDOW", 64)
    monkeypatch.setattr(pii, "_OVERLAP", 16)
    for before in range(150):
        text = f"{'.' * before}id {there} of {there}; P-0, {'.' * (200 - before)}"
        assert parts(text, pattern) == [it[0] for it in re.finditer(pattern, text)], before


def test_no_tail_is_left_of_a_match_longer_than_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pii, "_WINDOW", 64)
    monkeypatch.setattr(pii, "_OVERLAP", 16)
    for before in range(150):
        text = f"{'.' * before}P-{'1' * 100} and more"
        assert parts(text, r"P-[0-9]+") == [text[before:]], before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"patterns": {"id": "(a+)+b"}}, r"patterns\.id: found '\(a\+\)\+b': this pattern can take for ever"),
        ({"patterns": {"id": "["}}, r"patterns\.id: found '\[': not a valid regular expression"),
        ({"patterns": {"id": "x*"}}, r"patterns\.id: found 'x\*': it matches the empty text"),
        ({"regions": ("XX",)}, r"phone_regions\[0\]: found 'XX', expected a country by its two letters"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(changes: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"kinds": ALL, "regions": ("US",), "patterns": {}} | changes
    with pytest.raises(ConfigError, match=said):
        searches(**given)


class Counted:
    """A pattern that counts the characters it is handed."""

    def __init__(self, pattern: re.Pattern[str], count: Callable[[str], None]) -> None:
        self._pattern, self._count = pattern, count

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._pattern, name)

        def counted(text: str, *bounds: int) -> Any:
            self._count(text[slice(*bounds)] if len(bounds) == 2 else text)
            return method(text, *bounds)

        return counted


def work(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How much a text is to search, in characters that patterns and the libraries' parsers are handed, again for each
    candidate: counted, since a clock would tell of the machine."""
    handed = 0

    def count(some: str) -> None:
        nonlocal handed
        handed += len(some)

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(some: str, *rest: Any) -> Any:
            count(some)
            return call(some, *rest)

        return counted

    with monkeypatch.context() as patch:
        for name, value in vars(pii).items():
            if isinstance(value, re.Pattern):
                patch.setattr(pii, name, Counted(value, count))
        patch.setattr(phonenumbers, "PhoneNumberMatcher", counting(phonenumbers.PhoneNumberMatcher))
        patch.setattr(luhn, "is_valid", counting(luhn.is_valid))
        find(text, [_with_counted(search, count) for search in LOOKING])
    return handed


def _with_counted(search: Search, count: Callable[[str], None]) -> Search:
    """The project's own patterns are bound to their search."""
    if not isinstance(search, functools.partial):
        return search
    bound = {name: Counted(it, count) if isinstance(it, re.Pattern) else it for name, it in search.keywords.items()}
    return functools.partial(search.func, *search.args, **bound)


HOSTILE = {
    "digits": "1" * 20_000,
    "spaced digits": "1 " * 10_000,
    "grouped digits": "4111 " * 4_000,
    "at signs": "@" * 20_000,
    "addresses": "a@b.cc " * 3_000,
    "almost addresses": "a@b." * 5_000,
    "dots": "." * 20_000 + "@example.org",
    "pluses": "+" * 20_000,
    "phones": "415-555-2671 " * 1_500,
    "brackets": "((((" * 5_000,
    "patients": "P-12345" * 3_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_twice_as_long_a_hostile_line_is_twice_the_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    half, whole = (HOSTILE[name][-length:] for length in (6_000, 12_000))
    little, much = work(half, monkeypatch), work(whole, monkeypatch)
    assert len(half) <= little <= 20 * len(half)
    assert much <= 2.5 * little
    found = find(half, LOOKING)
    assert all(one.end <= other.start for one, other in pairwise(found))


def test_many_candidates_are_all_taken_out() -> None:
    chance = random.Random(3)
    numbers = [f"+1 415 555 {chance.randint(1000, 9999)}" for _ in range(400)]
    text = "\n".join(numbers)
    found = find(text, LOOKING)
    rest = text
    for it in reversed(found):
        rest = rest[: it.start] + rest[it.end :]
    assert not any(char.isdigit() for char in rest)
