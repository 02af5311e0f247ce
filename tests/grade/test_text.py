from datetime import date

import pytest

from agentkit.grade.text import asks, day, mentions, numbers


@pytest.mark.parametrize(
    ("text", "item", "found"),
    [
        ("Your refund of $12.50 is on its way", 12.5, True),
        ("Your refund of $112.50 is on its way", 12.5, False),
        ("It costs 1,250 dollars", 1250, True),
        ("Sale S-1234", "S-123", False),
        ("Sale S-123.", "s-123", True),
        ("We\n  will   CALL you", "will call", True),
        ("It’s done", "it's done", True),
        ("cancelled", ["canceled", "cancelled"], True),
        ("cancelling", ["canceled", "cancelled"], False),
        ("100%", "100%", True),
        ("", "x", False),
    ],
)
def test_mentions(text: str, item: object, found: bool) -> None:
    assert mentions(text, item) is found  # type: ignore[arg-type]


def test_numbers_understand_thousands_and_signs() -> None:
    assert numbers("between -3 and 1,234.5, or 12,34") == [-3.0, 1234.5, 12.0, 34.0]


@pytest.mark.parametrize(
    ("text", "asked"),
    [("Which size?", True), ("See https://x.test/?q=1 for more.", False), ("Sure.", False), ("何色ですか？", True)],
)
def test_asks(text: str, asked: bool) -> None:
    assert asks(text) is asked


@pytest.mark.parametrize(
    "text",
    ["2026-03-01", "1 March 2026", "March 1, 2026", "1st March 2026", "2026-03-01T09:30:00", "Mar 1 2026", "20260301"],
)
def test_one_day_many_forms(text: str) -> None:
    assert day(text) == date(2026, 3, 1)


def test_a_date_that_can_be_read_two_ways_is_no_date() -> None:
    assert day("01/03/2026") is None
    assert day("25/03/2026") == date(2026, 3, 25)
    assert day("03/25/2026") == date(2026, 3, 25)
    assert day("soon") is None
