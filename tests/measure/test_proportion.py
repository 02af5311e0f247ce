"""Intervals for one proportion: published values, SciPy's own, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from agentkit.errors import AgentkitError
from agentkit.measure import clopper_pearson, failure_bound, jeffreys, passes_needed, wilson

METHODS = [wilson, jeffreys, clopper_pearson]


@pytest.mark.parametrize(
    ("passed", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_values(passed, n, low, high):
    assert wilson(passed, n) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(
    ("passed", "n", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_pearson_gives_newcombes_values(passed, n, low, high):
    assert clopper_pearson(passed, n) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(("passed", "low", "high"), [(0, 0, 0.292), (1, 0.016, 0.501), (2, 0.065, 0.648)])
def test_jeffreys_gives_the_values_of_brown_cai_and_dasgupta(passed, low, high):
    assert jeffreys(passed, 7) == pytest.approx((low, high), abs=6e-4)


@pytest.mark.parametrize(("method", "name"), [(wilson, "wilson"), (clopper_pearson, "exact")])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_agrees_with_scipy_on_every_count(method, name, level):
    n = 23
    low, high = method(np.arange(n + 1), n, level=level)
    for x in range(n + 1):
        expected = binomtest(x, n).proportion_ci(level, name)
        assert (low[x], high[x]) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_no_data_leaves_everything_possible(method):
    assert method(0, 0) == (0, 1)


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data(), n=st.integers(1, 500), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_holds_the_estimate_within_zero_and_one_and_grows_with_the_passes(method, data, n, level):
    x = data.draw(st.integers(0, n - 1))
    low, high = method([x, x + 1], n, level=level)
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (low < high).all()
    assert (low <= np.array([x, x + 1]) / n).all()
    assert (np.array([x, x + 1]) / n <= high).all()
    assert low[0] <= low[1]
    assert high[0] <= high[1]


@pytest.mark.parametrize("method", METHODS)
def test_more_trials_narrow_the_interval_and_a_higher_level_widens_it(method):
    def width(n, level):
        low, high = method(0.9 * n, n, level=level)
        return high - low

    assert width(40, 0.95) < width(10, 0.95) < width(10, 0.99)


def test_nothing_failed_is_not_never_fails():
    assert failure_bound(0, 60) == pytest.approx(0.0487, abs=5e-5)
    assert failure_bound(0, 5) == pytest.approx(0.4507, abs=5e-5)
    assert failure_bound(0, 0) == 1
    assert failure_bound(3, 3) == 1


def test_passes_needed_is_the_fewest_that_meet_the_limit():
    assert passes_needed(0.05) == 59
    assert failure_bound(0, 59) <= 0.05 < failure_bound(0, 58)


@pytest.mark.parametrize(("passed", "n"), [(3, 2), (-1, 2)])
def test_impossible_counts_are_refused(passed, n):
    for method in METHODS:
        with pytest.raises(AgentkitError, match="between 0 and the number of trials"):
            method(passed, n)


def test_impossible_levels_and_limits_are_refused():
    with pytest.raises(AgentkitError, match="confidence level"):
        wilson(1, 2, level=95)
    with pytest.raises(AgentkitError, match="limit of a failure rate"):
        passes_needed(0)
