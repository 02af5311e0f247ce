"""The gap between observed and compounded, and the test of independence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import fisher_exact

from agentkit.measure import NOT_REACHED, UNGRADED, summarize
from agentkit.measure.independence import independence_test, permute
from tests.measure.measure_cells import cell, counted, simulated


def gap(*cells, deterministic=False):
    return summarize(cells, deterministic=deterministic, seed=4).all.gap


def test_is_the_log_of_observed_over_compounded():
    play = counted([30, 35, 38], 40)
    summary = summarize([play], deterministic=False, seed=1).all
    expected = math.log(play.success.mean() / (30 / 40 * 35 / 40 * 38 / 40))
    assert summary.gap.log_ratio.estimate == pytest.approx(expected)
    assert summary.gap.log_ratio.low < expected < summary.gap.log_ratio.high


def test_failures_that_share_trials_show_as_a_positive_gap():
    together = np.ones((100, 4), dtype=np.int8)
    together[:30] = 0
    found = gap(cell(together))
    assert found.log_ratio.low > 0
    assert found.p_value == pytest.approx(1 / 1001)


def test_failures_that_avoid_each_other_show_as_a_negative_gap():
    apart = np.ones((100, 4), dtype=np.int8)
    for k in range(4):
        apart[20 * k : 20 * k + 20, k] = 0
    found = gap(cell(apart))
    assert found.log_ratio.high < 0
    assert found.p_value == pytest.approx(1 / 1001)


def test_recovery_shows_as_a_positive_gap_while_the_steps_stay_independent():
    play = simulated(np.random.default_rng(8), [0.8, 0.8, 0.8], 200)
    recovered = cell(play.grades, success=[1] * 200)
    found = gap(recovered)
    assert found.log_ratio.low > 0
    assert found.p_value > 0.05


def test_difficulty_is_not_taken_for_coupling():
    rng = np.random.default_rng(9)
    easy = simulated(rng, [0.98] * 4, 150, scenario="easy")
    hard = simulated(rng, [0.3] * 4, 150, scenario="hard")
    assert gap(easy, hard).p_value > 0.05


def test_permutation_agrees_with_fishers_exact_test_for_two_steps():
    table = [[18, 3], [4, 6]]
    rows = [[1, 1]] * 18 + [[1, 0]] * 3 + [[0, 1]] * 4 + [[0, 0]] * 6
    permuted = permute(cell(rows), seed=1, permutations=40_000)
    found, _ = independence_test([permuted], np.array([1.0]))
    exact = fisher_exact(table).pvalue  # by probability, ours by distance from the mean: close, not equal
    assert found == pytest.approx(exact, abs=0.006)
    assert permuted.null.mean() == pytest.approx(21 / 31 * 22 / 31, abs=2e-3)


def test_permutation_keeps_unreached_steps_where_they_are():
    """Against shuffling the columns one trial at a time."""
    rng = np.random.default_rng(1)
    rows = (rng.random((30, 3)) < 0.7).astype(np.int8)
    rows[20:, 2] = NOT_REACHED
    rows[25:, 1] = NOT_REACHED
    fast = permute(cell(rows), seed=1, permutations=20_000).null
    slow = []
    for _ in range(4000):
        shuffled = rows.copy()
        for k in range(3):
            reached = np.flatnonzero(rows[:, k] != NOT_REACHED)
            shuffled[reached, k] = rng.permutation(rows[reached, k])
        slow.append((shuffled != 0).all(axis=1).mean())
    assert fast.mean() == pytest.approx(np.mean(slow), abs=3e-3)
    assert fast.std() == pytest.approx(np.std(slow), rel=0.06)


def test_repeats_are_not_taken_for_coupling():
    """Copies of a trial would make any pattern look significant."""
    once = simulated(np.random.default_rng(10), [0.7, 0.7, 0.7], 20)
    copied = cell(np.repeat(once.grades, 20, axis=0), instances=np.repeat(np.arange(20), 20))
    assert gap(copied, deterministic=True).p_value == pytest.approx(gap(once).p_value, abs=0.05)


def test_repeats_widen_the_interval():
    once = simulated(np.random.default_rng(11), [0.8, 0.8, 0.8], 30)
    grades = np.repeat(once.grades, 4, axis=0)
    as_repeats = gap(cell(grades, instances=np.repeat(np.arange(30), 4))).log_ratio
    as_trials = gap(cell(grades)).log_ratio
    assert as_repeats.high - as_repeats.low > 1.7 * (as_trials.high - as_trials.low)


def test_nothing_failed_gives_an_interval_from_the_figures_themselves():
    found = gap(cell(np.ones((20, 3))))
    assert found.log_ratio.estimate == 0
    assert found.log_ratio.method == "interval_ends"
    assert found.log_ratio.low < -0.1
    assert found.log_ratio.high > 0.1
    assert found.p_value is None
    assert "nothing to permute" in found.p_reason


@pytest.mark.parametrize(
    ("grades", "success", "reason"),
    [
        ([[1, 1]] * 9 + [[0, 1]], [0] * 10, "observed is 0"),
        ([[1, 0]] * 10, [1] * 10, "compounded is 0"),
        ([[1, 0]] * 10, [0] * 10, "observed and compounded is 0"),
        ([[1, NOT_REACHED]] * 10, [1] * 10, "no graded trial of shop/refund/golden#s1"),
        ([[1, 1]] * 10, [UNGRADED] * 10, "no graded trial of shop/refund/golden"),
    ],
)
def test_where_there_is_no_logarithm_it_says_why(grades, success, reason):
    found = gap(cell(grades, success)).log_ratio
    assert (found.estimate, found.low, found.high) == (None, None, None)
    assert reason in found.reason


def test_an_end_that_is_unbounded_is_missing_with_a_reason():
    grades = [[1, 1, 1]] + [[1, 1, 0]] * 2 + [[0, 1, 1]] * 2
    found = gap(cell(grades)).log_ratio
    assert found.estimate is not None
    assert found.low is None
    assert "low end is unbounded" in found.reason
