"""What trials are worth: repeats of an instance, and steps that fail together."""

from __future__ import annotations

import numpy as np
import pytest

from agentkit.measure import NOT_REACHED, UNGRADED, coupling, design_effect, intraclass_correlation
from agentkit.measure.cluster import count

ONE_EACH = np.arange(8)


def grades(*columns):
    return np.array(columns, dtype=np.int8).T


def test_only_graded_trials_are_in_the_denominator():
    column = [1, 0, 1, NOT_REACHED, NOT_REACHED, UNGRADED, 1, 1]
    counts = count(grades(column), ONE_EACH, deterministic=True)
    assert counts.passed.tolist() == [4]
    assert counts.n.tolist() == [5]
    assert counts.effective.tolist() == [5]
    assert counts.accuracy.tolist() == [0.8]


def test_a_step_without_a_graded_trial_has_no_accuracy():
    counts = count(grades([NOT_REACHED] * 8, [1] * 8), ONE_EACH, deterministic=False)
    assert np.isnan(counts.accuracy[0])
    assert counts.accuracy[1] == 1


@pytest.mark.parametrize("deterministic", [True, False])
def test_instances_played_once_count_fully(deterministic):
    counts = count(grades([1, 0, 1, 0, 1, 1, 1, 0]), ONE_EACH, deterministic=deterministic)
    assert counts.effective.tolist() == [8]


def test_repeats_count_once_where_the_agent_is_deterministic():
    counts = count(grades([1, 1, 1, 1, 0, 0, 1, 1]), ONE_EACH // 2, deterministic=True)
    assert counts.effective.tolist() == [4]
    assert counts.accuracy.tolist() == [0.75]


def test_repeats_that_always_agree_count_once_and_those_that_do_not_count_fully():
    agreeing = [1, 1, 1, 1, 0, 0, 1, 1]
    mixed = [1, 0, 1, 0, 0, 1, 1, 0]
    counts = count(grades(agreeing, mixed), ONE_EACH // 2, deterministic=False)
    assert counts.effective.tolist() == [4, 8]


def test_correlation_that_cannot_be_estimated_makes_repeats_count_once():
    never_failed = count(grades([1] * 8), ONE_EACH // 2, deterministic=False)
    one_instance = count(grades([1, 0, 1, 1, 1, 0, 1, 1]), ONE_EACH * 0, deterministic=False)
    assert never_failed.effective.tolist() == [4]
    assert one_instance.effective.tolist() == [1]


def test_unequal_numbers_of_repeats_by_hand():
    passed, sizes = np.array([[3.0], [0.0], [1.0]]), np.array([[3.0], [2.0], [1.0]])
    # between: (3(1-2/3)^2 + 2(2/3)^2 + (1/3)^2)/2 = 2/3; within 0, so the clusters explain everything
    assert intraclass_correlation(passed, sizes).tolist() == [1]
    assert design_effect(sizes, [1.0]) == pytest.approx(14 / 6)


def test_independent_steps_are_not_coupled_and_steps_that_fail_together_are():
    apart = grades([0, 1, 1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 1, 1, 1, 1])
    together = grades([0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1, 1])
    assert coupling(apart, ONE_EACH) == 1
    assert coupling(together, ONE_EACH) == pytest.approx(3)
    assert coupling(together[:, :1], ONE_EACH) == 1
    assert coupling(together[:0], ONE_EACH[:0]) == 1


def test_coupling_is_the_ratio_of_the_variances_of_the_product():
    """Against brute force: the product of three accuracies, estimated over and over."""
    rng, n = np.random.default_rng(3), 200

    def play(trials):
        shared = rng.random((trials, 1)) < 0.15
        own = rng.random((trials, 3)) < 0.05
        return (~(shared | own)).astype(np.int8)

    logs = np.log(play(4000 * n).reshape(4000, n, 3).mean(axis=1))
    expected = logs.sum(axis=1).var() / logs.var(axis=0).sum()
    assert coupling(play(100_000), np.arange(100_000)) == pytest.approx(expected, rel=0.06)
