"""Steps that pass and fail though nothing was different."""

from __future__ import annotations

import tracemalloc

from agentkit.measure import NOT_REACHED, UNGRADED, Occasion, flaky_steps
from tests.measure.measure_cells import cell


def test_repeats_that_disagree_make_a_step_flaky():
    play = cell([[1, 1], [0, 1], [1, 1], [1, 0]], instances=[5, 5, 6, 7])
    (flaky,) = flaky_steps([Occasion("r1", "same", play)])
    assert (flaky.step, flaky.flaky, flaky.repeated, flaky.rate) == ("shop/refund/golden#s0", 1, 1, 1)
    assert [(it.run, it.passed, it.failed, it.flaky) for it in flaky.history] == [("r1", 3, 1, 1)]


def test_runs_under_the_same_conditions_are_repeats_and_others_are_history_only():
    one, two, other = cell([[1], [1]]), cell([[0], [1]]), cell([[0], [0]])
    (flaky,) = flaky_steps([Occasion("r1", "same", one), Occasion("r2", "same", two), Occasion("r3", "new", other)])
    assert (flaky.flaky, flaky.repeated) == (1, 2)
    assert [it.run for it in flaky.history] == ["r1", "r2", "r3"]
    assert flaky_steps([Occasion("r1", "same", one), Occasion("r3", "new", other)]) == ()


def test_what_was_not_graded_says_nothing():
    play = cell([[1], [NOT_REACHED], [UNGRADED]], instances=[5, 5, 5])
    assert flaky_steps([Occasion("r1", "same", play)]) == ()


def test_the_flakiest_comes_first():
    play = cell([[1, 1], [1, 0], [1, 1], [0, 0]], instances=[5, 5, 6, 6])
    assert [it.step[-2:] for it in flaky_steps([Occasion("r", "same", play)])] == ["s1", "s0"]


def test_many_trials_take_little_room():
    told = [Occasion(f"r{run}", f"agent {run}", cell([[1, 1]] * 2000)) for run in range(10)]
    tracemalloc.start()
    try:
        assert flaky_steps(told) == ()
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
