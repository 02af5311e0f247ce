from dataclasses import replace

import pytest

from agentkit.measure import Cell, summarize
from agentkit.measure.suite import Figure
from agentkit.report.text import visible
from agentkit.report.wording import (
    amount,
    between,
    coded,
    factor,
    gap_in_words,
    percent,
    plural,
    points,
    verdict_sentence,
)
from tests.measure.measure_cells import cell


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.814, "81 %"),
        (0.9996, "99.96 %"),
        (0.0004, "0.04 %"),
        (1e-9, "<0.001 %"),
        (1 - 1e-8, ">99.999 %"),
    ],
)
def test_percent_never_claims_certainty(value: float | None, text: str) -> None:
    assert percent(value).replace("\xa0", " ") == text


def test_intervals_points_and_counts() -> None:
    assert between(0.74, 0.8).replace("\xa0", " ") == "74–80 %"
    assert between(None, 0.8) == ""
    assert [points(value) for value in (-0.0812, 0.12, 0.0, None)] == ["−8.1", "+12", "0", "–"]
    assert plural(1, "trial") == "1 trial"
    assert plural(10_200, "trial") == "10,200 trials"


def test_amounts_have_three_digits() -> None:
    told = [amount(1240.4), amount(3.414, "s"), amount(0.001234, "$"), amount(0.0), amount(float("nan")), amount(200.0)]
    assert [it.replace("\xa0", " ") for it in told] == ["1,240", "3.41 s", "$0.00123", "0", "–", "200"]


def test_a_gap_with_an_open_end() -> None:
    assert factor(Figure(0.0, None, 0.6931, "bootstrap")) == ("×1.00", "0–2.00")
    assert factor(Figure(None, None, None, None, "unknown")) == ("–", "")


def test_a_wide_gap_does_not_say_that_steps_are_independent() -> None:
    group = summarize([cell([[1, 1]] * 7 + [[0, 1], [1, 0], [0, 0]])], deterministic=False, seed=0).all
    assert gap_in_words(group) == "cannot be told from what independent steps would give"
    gap = replace(group.gap, log_ratio=Figure(0.1, None, 0.9, "bootstrap", "the low end is unbounded"))
    told = "cannot be told from what independent steps would give; the low end is unbounded"
    assert gap_in_words(replace(group, gap=gap)) == told


def test_names_between_backticks_are_inert() -> None:
    assert coded("bringing `<b>` up & on") == "bringing <code>&lt;b&gt;</code> up &amp; on"


def test_what_is_hidden_is_spelled_out() -> None:
    assert visible("a\u202eb\x1b[1m\tc\nd") == "a⟨U+202E⟩b⟨U+001B⟩[1m\tc\nd"


def _judged(*cells: Cell) -> str:
    return verdict_sentence("demo", summarize(cells, deterministic=False, seed=0)).replace("\xa0", " ")


def test_where_one_variant_has_no_valid_trial_the_rest_is_told_and_what_is_missing() -> None:
    half = [[1, 1]] * 5 + [[1, 0]] * 5
    golden, rude = cell(half), cell(half, variant="rude")
    assert _judged(golden, rude) == "50 % of conversations go right: 50 % on the golden path, 50 % off it"
    no_poem, no_golden = cell([], variant="poem", steps=2, invalid=3), cell([], steps=2, invalid=3)
    assert _judged(golden, rude, no_poem) == (
        "50 % of conversations go right on the golden path; the figure off it is not known: "
        "no graded trial of shop/refund/poem"
    )
    assert _judged(no_golden, rude) == (
        "50 % of conversations go right off the golden path; the figure on it is not known: "
        "no graded trial of shop/refund/golden"
    )
    other = cell([], scenario="shop/exchange", steps=2, invalid=3)
    told = _judged(golden, other)
    assert told.endswith(" % of conversations go right: no graded trial of shop/exchange/golden")
    assert "–" in told
    assert _judged(no_golden) == "Nothing can be said of demo yet: no graded trial of shop/refund/golden"
    many = [cell([], variant=f"a_long_name_of_a_detour_{k}", steps=2) for k in range(40)]
    assert len(_judged(golden, *many)) < 220
