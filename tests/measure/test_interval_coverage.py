"""Nominal 95 % intervals hold the truth about 95 % of the time, on simulated grades.

`tests/bench/coverage.py` prints the whole table.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from agentkit.measure.cell import compounded_figure
from agentkit.measure.cluster import count, coupling
from agentkit.measure.suite import fixed_suite

N, P, K, REPETITIONS = 40, 0.9, 5, 2_000
TRUTH = P**K
ONE_EACH = np.arange(N)


def figures(grades, instances=ONE_EACH):
    rng = np.random.default_rng(11)
    return [
        compounded_figure(count(it, instances, deterministic=False), coupling(it, instances), rng=rng, draws=1_000)
        for it in grades
    ]


def share(found):
    return np.mean([it.low <= TRUTH <= it.high for it in found])


@pytest.fixture(scope="module")
def independent():
    rng = np.random.default_rng(2025)
    return figures((rng.random((REPETITIONS, N, K)) < P).astype(np.int8))


def test_one_scenario(independent):
    assert 0.93 <= share(independent) <= 0.97


def test_a_fixed_suite_of_four(independent):
    suites = [
        fixed_suite(independent[i : i + 4], np.full(4, 0.25), names=["?"] * 4, single="?")
        for i in range(0, REPETITIONS, 4)
    ]
    assert 0.93 <= share(suites) <= 0.985


def test_steps_that_fail_in_the_same_trials():
    rng = np.random.default_rng(2026)
    latent = rng.normal(size=(500, N, 1)) * np.sqrt(0.5) + rng.normal(size=(500, N, K)) * np.sqrt(0.5)
    assert 0.91 <= share(figures((latent < ndtri(P)).astype(np.int8))) <= 0.98


def test_repeats_of_instances_that_differ_in_difficulty():
    rng = np.random.default_rng(2027)
    chance = rng.beta(P * 2, (1 - P) * 2, size=(500, N // 4, 1, K))
    grades = (rng.random((500, N // 4, 4, K)) < chance).reshape(500, N, K).astype(np.int8)
    assert 0.91 <= share(figures(grades, np.arange(N) // 4)) <= 0.985
