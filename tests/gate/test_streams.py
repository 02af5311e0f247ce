"""Two streams with unequal shares: bets are fair by brute force, and bounds hold what they promise."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from agentkit.gate.evidence import no_worse_path
from agentkit.gate.streams import Blocks, difference_bounds, drop_path, no_worse_log_wealth

SIZES = [((3, 1), (3, 1)), ((1, 2), (1, 2)), ((2, 1), (1, 2)), ((1, 1), (4, 1))]


def all_blocks(sizes):  # type: ignore[no-untyped-def]
    """Every way that these blocks can turn out: passed of base and candidate, block by block."""
    return product(*(product(range(a + 1), range(b + 1)) for a, b in sizes))


def binomial(n: int, k: int, p: float) -> float:
    from math import comb

    return comb(n, k) * p**k * (1 - p) ** (n - k)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("rates", [(0.9, 0.9), (0.5, 0.9), (0.99, 0.02), (1.0, 1.0), (0.3, 0.0)])
def test_bets_on_a_drop_are_fair_whatever_the_common_rate_of_each_block(sizes, rates):  # type: ignore[no-untyped-def]
    mean = 0.0
    for passed in all_blocks(sizes):
        chance = np.prod(
            [
                binomial(a, s_a, p) * binomial(b, s_b, p)
                for (a, b), (s_a, s_b), p in zip(sizes, passed, rates, strict=True)
            ]
        )
        blocks = Blocks.of([(s_a, a, s_b, b) for (a, b), (s_a, s_b) in zip(sizes, passed, strict=True)])
        mean += float(chance * np.exp(drop_path(blocks)[-1]))
    assert mean <= 1 + 1e-9


def made(rng: np.random.Generator, blocks: int, base: float, candidate: float, sizes: tuple[int, int]) -> Blocks:
    a, b = sizes
    return Blocks.of([(rng.binomial(a, base), a, rng.binomial(b, candidate), b) for _ in range(blocks)])


def test_a_drop_is_seen_and_a_gain_is_not_mistaken_for_one():
    rng = np.random.default_rng(1)
    assert drop_path(made(rng, 150, 0.9, 0.65, (8, 1))).max() > np.log(60)
    assert drop_path(made(rng, 400, 0.65, 0.9, (8, 1))).max() < np.log(2)


def test_a_path_does_not_change_by_what_comes_later():
    blocks = made(np.random.default_rng(2), 60, 0.8, 0.7, (3, 1))
    begun = Blocks(*(getattr(blocks, name)[:25] for name in blocks.__slots__))
    assert drop_path(blocks)[:25] == pytest.approx(drop_path(begun))


def test_bounds_hold_the_difference_at_all_times_and_close_in():
    rng, missed = np.random.default_rng(3), 0
    for _ in range(60):
        blocks = made(rng, 120, 0.8, 0.7, (4, 1))
        low, high = difference_bounds(blocks)
        missed += not low <= -0.1 <= high
        assert -1 <= low < high <= 1
    assert missed <= 6, "5 % of 60, and not more than chance allows"
    wide = difference_bounds(made(rng, 20, 0.8, 0.7, (4, 1)))
    narrow = difference_bounds(made(rng, 2_000, 0.8, 0.7, (4, 1)))
    assert narrow[1] - narrow[0] < 0.12 < 0.4 < wide[1] - wide[0]
    assert narrow[0] < -0.1 < narrow[1]


def test_bounds_are_where_the_bet_wins_just_enough():
    blocks = made(np.random.default_rng(4), 200, 0.9, 0.9, (3, 1))
    low, _ = difference_bounds(blocks, level=0.9)
    assert no_worse_path(blocks.differences, -low).max() == pytest.approx(np.log(20), abs=0.02)


def test_nothing_says_nothing():
    none = Blocks.of([])
    assert (len(none), len(drop_path(none)), difference_bounds(none), no_worse_log_wealth(none, 0.1)) == (
        0, 0, (-1.0, 1.0), 0.0,
    )  # fmt: skip
