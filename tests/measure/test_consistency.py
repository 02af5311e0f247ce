"""pass@k, pass^k and clustered errors, on worked values and on published conversations of a real model."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from agentkit.errors import AgentkitError
from agentkit.measure import (
    cluster_error,
    design_effect,
    intraclass_correlation,
    pass_at_k,
    pass_hat_k,
)

TAU_BENCH = Path(__file__).parents[2].parent / "shared" / "data" / "tau_bench" / "gpt-4o-airline.json"


def test_worked_values():
    assert pass_at_k([3], [10], 5) == pytest.approx(0.916667, abs=5e-7)
    assert pass_hat_k([2], [4], 2) == pytest.approx(0.166667, abs=5e-7)


def test_each_counts_the_subsets_of_k_attempts():
    outcomes = [[1, 0, 1, 1, 0], [0, 0, 0, 1], [1, 1, 1]]
    successes, trials = [sum(o) for o in outcomes], [len(o) for o in outcomes]
    for k in (1, 2, 3):
        drawn = [list(combinations(o, k)) for o in outcomes]
        some = np.mean([np.mean([any(d) for d in scenario]) for scenario in drawn])
        every = np.mean([np.mean([all(d) for d in scenario]) for scenario in drawn])
        assert pass_at_k(successes, trials, k) == pytest.approx(some)
        assert pass_hat_k(successes, trials, k) == pytest.approx(every)


def test_more_attempts_than_were_played_are_refused():
    with pytest.raises(AgentkitError, match=r"scenario 1: k = 4 attempts, but it was played 3 times"):
        pass_at_k([4, 3], [4, 3], 4)
    with pytest.raises(AgentkitError, match="at least 1"):
        pass_hat_k([1], [1], 0)
    with pytest.raises(AgentkitError, match="3 successes in 2 trials"):
        pass_hat_k([3], [2], 1)
    with pytest.raises(AgentkitError, match="0 scenarios"):
        pass_hat_k([], [], 1)


def test_published_conversations():
    if not TAU_BENCH.exists():
        pytest.skip(f"the tau-bench conversations are not at {TAU_BENCH}")
    recorded = json.loads(TAU_BENCH.read_text())
    tasks = np.array([trial["task_id"] for trial in recorded])
    success = np.array([trial["reward"] == 1 for trial in recorded], dtype=float)
    trials, successes = np.bincount(tasks), np.bincount(tasks, weights=success).astype(int)

    hat = [pass_hat_k(successes, trials, k) for k in (1, 2, 3, 4)]
    at = [pass_at_k(successes, trials, k) for k in (1, 2, 3, 4)]
    assert hat == pytest.approx([0.420, 0.27333, 0.220, 0.200], abs=5e-6)
    assert at == pytest.approx([0.42, 0.56667, 0.66, 0.72], abs=5e-6)

    assert cluster_error(success, np.arange(200), corrected=False) == pytest.approx(0.0349, abs=5e-5)
    assert cluster_error(success, tasks) == pytest.approx(0.0522, abs=5e-5)
    assert cluster_error(success, tasks, corrected=False) == pytest.approx(0.0517, abs=5e-5)
    rho = intraclass_correlation(successes[:, None], trials[:, None])
    assert rho[0] == pytest.approx(0.405, abs=5e-4)
    assert design_effect(trials[:, None], rho)[0] == pytest.approx(2.21, abs=6e-3)


def test_the_same_statistics_on_simulated_tasks_of_known_correlation():
    rng, rho, tasks, repeats = np.random.default_rng(7), 0.4, 4000, 4
    chance = rng.beta(0.42 * (1 - rho) / rho, 0.58 * (1 - rho) / rho, size=tasks)
    successes, trials = rng.binomial(repeats, chance), np.full(tasks, repeats)
    assert intraclass_correlation(successes[:, None], trials[:, None])[0] == pytest.approx(rho, abs=0.02)
    for k in (1, 2, 3, 4):
        assert pass_hat_k(successes, trials, k) == pytest.approx((chance**k).mean(), abs=0.015)
        assert pass_at_k(successes, trials, k) == pytest.approx((1 - (1 - chance) ** k).mean(), abs=0.015)
    played = np.concatenate([np.r_[np.ones(c), np.zeros(repeats - c)] for c in successes])
    clustered = cluster_error(played, np.repeat(np.arange(tasks), repeats))
    naive = cluster_error(played, np.arange(len(played)))
    assert (clustered / naive) ** 2 == pytest.approx(1 + (repeats - 1) * rho, abs=0.1)


def test_one_cluster_has_no_error_to_show():
    with pytest.raises(AgentkitError, match="two clusters or more, found 1"):
        cluster_error([1, 0, 1], [5, 5, 5])
