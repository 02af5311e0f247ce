"""The product of step accuracies and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.measure import delta_interval, jeffreys, product_interval
from agentkit.measure.product import beta_means, product_variance

WORKED = ([18, 19, 16], [20, 20, 20])


def interval(passed, n, **options):
    return product_interval(passed, n, rng=np.random.default_rng(1), **options)


def test_worked_example():
    assert beta_means(*WORKED).prod() == pytest.approx(0.67434, abs=5e-6)
    assert beta_means(*WORKED, prior="jeffreys").prod() == pytest.approx(0.64274, abs=5e-6)
    assert delta_interval(*WORKED) == pytest.approx((0.5160, 0.9067), abs=5e-5)
    assert interval(*WORKED, draws=100_000) == pytest.approx((0.476, 0.845), abs=2e-3)


def test_one_step_is_a_beta_interval():
    low, high = interval([15], [20], draws=200_000)
    assert (low, high) == pytest.approx(tuple(map(float, jeffreys(15, 20))), abs=4e-3)


def test_a_step_without_trials_leaves_the_product_open():
    known = interval([18, 19], [20, 20])
    low, high = interval([18, 19, 0], [20, 20, 0])
    assert low == 0
    assert high == pytest.approx(known.high, abs=0.02)
    assert interval([0, 0], [0, 0]) == (0, 1)


def test_a_step_that_never_passed_still_leaves_room():
    low, high = interval([0, 20], [20, 20])
    assert low == 0
    assert 0.05 < high < 0.2


def test_nothing_failed_reaches_one_with_a_real_lower_end():
    low, high = interval([20] * 5, [20] * 5)
    assert high == 1
    assert 0.75 < low < 0.95


def test_more_trials_narrow_it():
    widths = [np.ptp(interval(np.full(5, 0.9 * n), n)) for n in (10, 40, 400)]
    assert widths[0] > widths[1] > widths[2] > 0


def test_leading_axes_are_records():
    low, high = interval(np.array([[18, 19, 16], [5, 5, 5]]), 20)
    assert low.shape == high.shape == (2,)
    assert (low[0], high[0]) == pytest.approx((0.476, 0.845), abs=0.01)
    assert high[1] < low[0]


@settings(deadline=None)
@given(data=st.data(), n=st.integers(1, 200), steps=st.integers(1, 8))
def test_holds_the_estimate_within_zero_and_one_and_never_has_zero_width(data, n, steps):
    passed = data.draw(st.lists(st.integers(0, n), min_size=steps, max_size=steps))
    low, high = interval(passed, n, draws=500)
    estimate = np.prod(np.array(passed) / n)
    assert 0 <= low <= estimate <= high <= 1
    assert low < high


@given(n=st.integers(2, 200), passed=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_variance_is_at_least_nothing_and_nothing_only_without_variation(n, passed):
    p = np.round(np.array(passed) * n) / n
    variance = product_variance(p, n)
    assert variance >= 0
    if (p > 0.01).all() and (p < 1).any():
        assert variance > 0


def test_variance_is_unbiased():
    rng, n, truth = np.random.default_rng(5), 12, np.array([0.9, 0.8, 0.6])
    p = rng.binomial(n, truth, size=(200_000, 3)) / n
    assert product_variance(p, n).mean() == pytest.approx(p.prod(axis=1).var(), rel=0.02)
    assert product_variance(np.array([0.3]), 1) == 0
