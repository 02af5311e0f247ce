"""e-processes: worked values, agreement of two ways to compute them, and fairness by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.gate import match
from agentkit.gate.evidence import (
    betting_path,
    evidence_path,
    kt_log_wealth,
    no_worse_path,
    no_worse_wealth,
    two_streams_path,
)
from agentkit.gate.metric import compounded, pass_k, success
from tests.gate.gate_records import World, first_rounds, played, record, versions


@pytest.mark.parametrize(("s", "f", "wealth"), [(5, 0, 7.875), (6, 0, 14.4375), (10, 0, 180.4258)])
def test_worked_values(s, f, wealth):
    assert np.exp(kt_log_wealth(s, f)) == pytest.approx(wealth, abs=5e-5)
    assert np.exp(betting_path([1.0] * s)[-1]) == pytest.approx(wealth, abs=5e-5)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=200))
def test_the_mixture_is_the_krichevsky_trofimov_bet(scores):
    s, f = np.cumsum(np.array(scores) > 0), np.cumsum(np.array(scores) < 0)
    assert betting_path(scores) == pytest.approx(kt_log_wealth(s, f), abs=1e-8)
    wealth = 1.0
    won = lost = 0
    for score in scores:
        if score:
            wealth *= ((won if score > 0 else lost) + 0.5) / (won + lost + 1) / 0.5
            won, lost = won + (score > 0), lost + (score < 0)
    assert np.exp(betting_path(scores)[-1]) == pytest.approx(wealth, rel=1e-6)


def test_bets_are_fair_under_the_hypothesis():
    """The mean wealth over all outcomes is 1: of symmetric scores, and at most 1 for a mean of -margin or less."""
    signs = np.array(list(product([-1, 1], repeat=8)))
    sizes = np.array([1, 0.5, 0.2, 1, 0.7, 1, 0.1, 0.9])
    assert np.mean([np.exp(betting_path(row * sizes)[-1]) for row in signs]) == pytest.approx(1)
    lost, margin = np.array(list(product([-1.0, 0.0, 1.0], repeat=6))), 0.1
    for up, down in ((0.05, 0.15), (0.0, 0.1), (0.3, 0.5)):
        chance = np.select([lost == 1, lost == -1], [up, down], 1 - up - down).prod(axis=1)
        mean = sum(c * np.exp(no_worse_path(row, margin)[-1]) for c, row in zip(chance, lost, strict=True))
        assert mean <= 1 + 1e-9


def test_two_streams_are_fair_whatever_the_common_rates():
    strata = [0, 1, 0, 0]
    outcomes = np.array(list(product([0, 1], repeat=8)))
    for rates in ((0.9, 0.5), (0.5, 0.5), (0.99, 0.02)):
        p = np.array([rates[s] for s in strata])
        mean = 0.0
        for row in outcomes:
            a, b = row[:4], row[4:]
            chance = np.where(a == 1, p, 1 - p).prod() * np.where(b == 1, p, 1 - p).prod()
            mean += chance * np.exp(two_streams_path(a, b, strata)[-1])
        assert mean <= 1 + 1e-9


def test_two_streams_gain_where_they_differ():
    rng = np.random.default_rng(1)
    a, b, strata = rng.random(400) < 0.9, rng.random(400) < 0.7, np.arange(400) % 4
    assert two_streams_path(a, b, strata)[-1] > np.log(1000)
    assert two_streams_path(a, rng.random(400) < 0.9, strata)[-1] < np.log(20)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("correlated", [True, False])
@pytest.mark.parametrize("metric", [success, compounded])
def test_a_path_does_not_change_by_what_comes_later(paired, correlated, metric):
    world = World(scenarios=3, trials=120, drop=0.2, paired=paired, correlated=correlated)
    base, candidate = versions(world, np.random.default_rng(2))
    whole = evidence_path(metric(match(base, candidate)))
    early = evidence_path(metric(match(base, first_rounds(candidate, 6))))
    assert len(early) == 18
    assert whole[:18] == pytest.approx(early)


def test_the_order_of_a_side_turns_the_sign_and_nothing_else():
    rng = np.random.default_rng(3)
    zero, one = (played((rng.random((40, 3)) < p).astype(np.int8)) for p in (0.9, 0.7))
    there, back = match(record(zero), record(one)), match(record(one), record(zero))
    assert evidence_path(compounded(there)) == pytest.approx(evidence_path(compounded(back)))


def test_metrics_without_a_bet_have_none():
    matched = match(record(played([[1]] * 4)), record(played([[1]] * 4)))
    assert evidence_path(pass_k(matched, 2)) is None
    assert no_worse_wealth(pass_k(matched, 2), 0.1) is None


def test_variants_without_pairs_that_share_instances_have_no_bet():
    base = record(*(played([[1]] * 9, variant=it) for it in "ab"))
    other = record(*(played([[0]] * 9, variant=it, instances=range(50, 59)) for it in "ab"))
    for metric in (success, compounded):
        assert evidence_path(metric(match(base, base))) is not None
        assert evidence_path(metric(match(base, other))) is None
        assert no_worse_wealth(metric(match(base, other)), 0.1) is None


def test_no_worse_by_a_margin_is_shown_in_time():
    """About a hundred pairs that never differ rule out ten points; those that fall by twenty never do."""
    same = played(np.ones((60, 2), dtype=np.int8))
    for metric in (success, compounded):
        assert no_worse_wealth(metric(match(record(same), record(same))), 0.1) > np.log(20) / 2
    base, worse = versions(World(trials=600, drop=0.2), np.random.default_rng(4))
    for metric in (success, compounded):
        assert no_worse_wealth(metric(match(base, worse)), 0.1) < np.log(20)
    base, alike = versions(World(trials=600), np.random.default_rng(5))
    assert no_worse_wealth(success(match(base, alike)), 0.1) > np.log(20)


def test_a_product_of_different_pairs_has_the_products_expectation():
    """The scores behind the compounded bet: their mean over many cells is the difference of the products."""
    from agentkit.gate.evidence import _product_tape

    base, worse = versions(World(trials=60_000, steps=3, drop=0.1), np.random.default_rng(6))
    tape = _product_tape(compounded(match(base, worse)), 0)
    assert len(tape) == 20_000
    assert tape.mean() == pytest.approx(-0.1, abs=0.006)
