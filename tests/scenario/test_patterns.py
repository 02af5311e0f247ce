"""Regular expressions: which are refused, and texts drawn from the others."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.scenario.patterns import MAX_DRAWN, complaint, draw, drawing_complaint


@pytest.mark.parametrize("pattern", ["(a+)+", "(a*)*b", r"(\s*a+)+x", r"(\d+,?)+", "(.+)*", "((a+)b?)+", "(x|a+)*"])
def test_patterns_that_may_never_end(pattern: str) -> None:
    assert "can take for ever" in str(complaint(pattern))


@pytest.mark.parametrize(
    "pattern", [r"(\w+\s)*", "(ab+)*", "(a|b)+", "a+b+c*", "(a?b)+", "(?:[0-9]{3},)*[0-9]+", "(a+){3}"]
)
def test_patterns_that_end(pattern: str) -> None:
    assert complaint(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[a", "unterminated character set at character 1"),
        ("a" * 2_001, "2,000 are allowed"),
        ("(" * 900 + ")" * 900, "nested too deeply"),
        ("a{1,99999999999}", "nested too deeply or too large"),
    ],
)
def test_patterns_that_are_none(pattern: str, message: str) -> None:
    assert message in str(complaint(pattern))


@pytest.mark.parametrize("pattern", ["(?<=x)a", r"(\d)\1", "(?=a)b", "a(?!b)", r"\bx"])
def test_texts_are_not_drawn_from_everything(pattern: str) -> None:
    said = drawing_complaint(pattern)
    assert said is None or "texts can only be drawn" in said


def test_a_pattern_that_nothing_matches() -> None:
    assert drawing_complaint("a^b") == "no text that matches it could be drawn"


@pytest.mark.parametrize(
    "pattern",
    [
        "S-[0-9]{5}",
        "[^a-z0-9]{3}",
        r"\d{2}\D\w\W\s\S.",
        "(alpha|beta)-(?P<n>[1-9]+)?",
        "[A-F]*x+",
        "[^x]",
        "(?i)abc",
        "é[à-ü]",
        r"[\w.-]{3,8}@example\.org",
    ],
)
def test_drawn_texts_match_and_are_bounded(pattern: str) -> None:
    assert drawing_complaint(pattern) is None
    texts = [draw(pattern, Random(seed)) for seed in range(200)]
    assert all(text is not None and re.fullmatch(pattern, text) and len(text) <= MAX_DRAWN for text in texts)
    assert texts == [draw(pattern, Random(seed)) for seed in range(200)]


def test_a_drawn_text_depends_on_nothing_but_the_seed() -> None:
    """Negated classes once followed a set's order, which changes with the process's hash seed."""
    assert [draw("[^a-z]{4}-\\W", Random(seed)) for seed in range(3)] == ["<5X|- ", "8WF`-|", "BA+L->"]


@given(st.integers(0, 2**32))
def test_identifiers_of_five_digits(seed: int) -> None:
    text = draw("S-[0-9]{5}", Random(seed))
    assert text is not None
    assert re.fullmatch("S-[0-9]{5}", text)
