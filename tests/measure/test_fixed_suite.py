"""Suites: weights, the fixed suite's interval, and the population's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agentkit.measure.suite import (
    CellFigure,
    fixed_suite,
    population,
    scenario_weights,
    shared_steps_population,
)

NAN = float("nan")


def suite(cells, weights=None, names=None):
    weights = np.full(len(cells), 1 / max(len(cells), 1)) if weights is None else np.array(weights)
    return fixed_suite(cells, weights, names=names or ["?"] * len(cells), single="own")


def test_each_scenario_counts_the_same_and_within_it_each_variant():
    assert scenario_weights(["a", "b", "a", "a"]).tolist() == pytest.approx([1 / 6, 1 / 2, 1 / 6, 1 / 6])
    assert scenario_weights([]).tolist() == []


def test_one_cell_keeps_its_own_interval():
    figure = suite([CellFigure(0.6, 0.4, 0.9, 0.5)])
    assert (figure.estimate, figure.method) == (0.6, "own")
    assert (figure.low, figure.high) == pytest.approx((0.4, 0.9))


def test_each_end_is_the_farther_of_variance_and_quadrature():
    wide_variance = [CellFigure(0.5, 0.49, 0.51, 0.01), CellFigure(0.7, 0.69, 0.71, 0.04)]
    figure = suite(wide_variance, [0.75, 0.25])
    half = 1.959964 * math.sqrt(0.75**2 * 0.01 + 0.25**2 * 0.04)
    assert figure.estimate == pytest.approx(0.55)
    assert (figure.low, figure.high) == pytest.approx((0.55 - half, 0.55 + half), abs=1e-6)

    no_variance = [CellFigure(0.5, 0.4, 0.8, 0.0), CellFigure(0.7, 0.5, 0.9, 0.0)]
    figure = suite(no_variance, [0.75, 0.25])
    assert figure.low == pytest.approx(0.55 - math.hypot(0.75 * 0.1, 0.25 * 0.2))
    assert figure.high == pytest.approx(0.55 + math.hypot(0.75 * 0.3, 0.25 * 0.2))
    assert figure.method == "fixed_suite"


def test_a_cell_that_cannot_be_judged_leaves_the_estimate_unknown_and_the_interval_wide():
    known, unknown = CellFigure(0.5, 0.4, 0.6, 0.0), CellFigure(NAN, 0.0, 0.8, 0.0)
    figure = suite([known, unknown], names=["", "x/golden#s3"])
    assert figure.estimate is None
    assert figure.low == pytest.approx(0.25 - 0.05)
    assert figure.high == pytest.approx(0.25 + 0.05 + 0.5 * 0.8)
    assert figure.reason == "no graded trial of x/golden#s3"
    everything = suite([CellFigure(NAN, 0.0, 1.0, 0.0)] * 2, names=["x", "y"])
    assert (everything.estimate, everything.low, everything.high) == (None, 0, 1)


def test_no_cell_is_no_number_with_a_reason():
    figure = suite([])
    assert (figure.estimate, figure.low, figure.high, figure.method) == (None, None, None, None)
    assert figure.reason


def test_the_population_takes_a_t_interval_over_scenarios():
    values = [0.2, 0.4, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9]
    figure = population(values)
    half = 2.364624 * np.std(values, ddof=1) / math.sqrt(8)
    assert figure.estimate == pytest.approx(0.575)
    assert (figure.low, figure.high) == pytest.approx((0.575 - half, 0.575 + half), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([0.5] * 7, "8 scenarios or more to judge the population, found 7"),
        ([0.5] * 8, "all scenarios came out the same"),
        ([0.5] * 8 + [NAN], "without a graded trial"),
        ([], "found 0"),
    ],
)
def test_a_population_that_cannot_be_judged_says_why(values, reason):
    figure = population(values)
    assert (figure.estimate, figure.low, figure.high) == (None, None, None)
    assert reason in figure.reason


def test_shared_steps_take_the_sandwich_on_the_log():
    rng = np.random.default_rng(2)
    accuracy = np.clip(rng.normal(0.8, 0.1, size=(12, 3)), 0, 1)
    figure = shared_steps_population(accuracy)
    mean = accuracy.mean(axis=0)
    psi = [sum((accuracy[s, k] - mean[k]) / mean[k] for k in range(3)) for s in range(12)]
    error = math.sqrt(sum(p * p for p in psi) * 12 / 11) / 12
    assert figure.estimate == pytest.approx(mean.prod())
    assert math.log(figure.high / figure.estimate) == pytest.approx(2.200985 * error, rel=1e-5)
    assert math.log(figure.estimate / figure.low) == pytest.approx(2.200985 * error, rel=1e-5)


def test_shared_steps_that_cannot_be_judged_say_why():
    varied = np.linspace(0.1, 0.9, 8)
    assert "never passed" in shared_steps_population(np.column_stack([varied, np.zeros(8)])).reason
    assert "found 3" in shared_steps_population(np.ones((3, 2))).reason
    assert "the same" in shared_steps_population(np.column_stack([varied, 1 - varied])).reason
