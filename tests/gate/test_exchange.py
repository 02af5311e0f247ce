"""p-values by exchange: against exact tests, brute force, and simulation."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import fisher_exact, hypergeom

from agentkit.gate import match
from agentkit.gate.exchange import _together, contributions, exchange_p, metric_values
from agentkit.gate.metric import compounded, pass_k, per_success, steps, success
from agentkit.gate.pairs import PASSED_COLUMN, TRIALS_COLUMN
from agentkit.gate.proportions import mcnemar_exact
from agentkit.gate.shared import shared
from tests.gate.gate_records import played, record


def cells(*pairs):
    base = record(*(zero for zero, _ in pairs))
    return match(base, record(*(one for _, one in pairs), agent="v2"))


def both(zero, one, **options):
    return played([[y] for y in zero], **options), played([[y] for y in one], **options)


def unpaired(zero, one, **options):
    shift = {"instances": [1000 + i for i in range(len(one))]}
    return played([[y] for y in zero], **options), played([[y] for y in one], **options | shift)


def test_pairs_of_equal_weight_are_mcnemars():
    matched = cells(both([1] * 9 + [0] * 3, [0] * 6 + [1] * 6))
    metric = success(matched)
    assert exchange_p(metric, seed=1) == (pytest.approx(float(mcnemar_exact(6, 3))), "mcnemar_exact")
    assert contributions(metric).sum() == pytest.approx(-3 / 12)


def test_pairs_of_unequal_weight_are_enumerated():
    """Every one of 2^n arrangements by hand: the cells have 3 and 6 pairs, and count the same."""
    pairs = [both([1, 1, 0], [0, 0, 1], scenario="a"), both([1, 1, 1, 0, 1, 1], [0, 1, 0, 1, 0, 0], scenario="b")]
    metric = success(cells(*pairs))
    moved = contributions(metric)[contributions(metric) != 0]
    drawn = np.array([np.dot(signs, np.abs(moved)) for signs in product([-1, 1], repeat=len(moved))])
    seen = moved.sum()
    expected = min(1.0, 2 * min((drawn <= seen + 1e-9).mean(), (drawn >= seen - 1e-9).mean()))
    assert exchange_p(metric, seed=1) == (pytest.approx(expected), "sign_flip_exact")


def test_one_cell_without_pairs_is_twice_fishers_tail():
    matched = cells(unpaired([1] * 18 + [0] * 2, [1] * 11 + [0] * 9))
    table = [[18, 2], [11, 9]]
    expected = 2 * fisher_exact(table, alternative="greater").pvalue
    assert exchange_p(success(matched), seed=1) == (pytest.approx(expected), "stratified_exact")


def test_strata_are_never_mixed():
    """Two cells by hand, as all pairs of hypergeometric counts."""
    zero, one = [[1] * 5 + [0], [1, 0, 0, 0]], [[1] * 3 + [0] * 3, [0, 0, 0, 0]]
    matched = cells(*(unpaired(z, o, scenario=s) for z, o, s in zip(zero, one, "ab", strict=True)))
    seen = 0.5 * (3 / 6 - 5 / 6) + 0.5 * (0 - 1 / 4)
    low = high = 0.0
    for x, y in product(range(7), range(5)):
        chance = hypergeom.pmf(x, 12, 8, 6) * hypergeom.pmf(y, 8, 1, 4)
        value = 0.5 * (x / 6 - (8 - x) / 6) + 0.5 * (y / 4 - (1 - y) / 4)
        low += chance * (value <= seen + 1e-9)
        high += chance * (value >= seen - 1e-9)
    p_value, test = exchange_p(success(matched), seed=1)
    assert (p_value, test) == (pytest.approx(min(1.0, 2 * min(low, high))), "stratified_exact")


def test_simulation_agrees_with_the_exact_tests():
    """Success, asked as a product of one step, takes the simulated way."""
    rng = np.random.default_rng(3)
    for build in (both, unpaired):
        zero, one = (rng.random((2, 60)) < [[0.9], [0.8]]).astype(int)
        matched = cells(build(zero.tolist(), one.tolist()))
        exact, _ = exchange_p(success(matched), seed=1)
        simulated, test = exchange_p(compounded(matched), seed=1, permutations=40_000)
        assert test == "exchange"
        assert simulated == pytest.approx(exact, rel=0.1, abs=2e-3)


def test_many_cells_are_simulated():
    rng = np.random.default_rng(5)
    pairs = [both(*(rng.random((2, 20 + s)) < 0.7).astype(int).tolist(), scenario=f"s{s}") for s in range(9)]
    assert exchange_p(success(cells(*pairs)), seed=1)[1] == "sign_flip"
    apart = [unpaired(*(rng.random((2, 20 + s)) < 0.7).astype(int).tolist(), scenario=f"s{s}") for s in range(9)]
    assert exchange_p(success(cells(*apart)), seed=1)[1] == "stratified"


def test_repeats_are_exchanged_together():
    """Ten instances that always agree with themselves: forty trials tell as much as ten."""
    numbers = {"instances": [i // 4 for i in range(40)], "repeats": [i % 4 for i in range(40)]}
    zero, one = np.repeat([1] * 10, 4), np.repeat([0] * 4 + [1] * 6, 4)
    p_value, _ = exchange_p(success(cells(both(zero.tolist(), one.tolist(), **numbers))), seed=1)
    assert p_value == pytest.approx(float(mcnemar_exact(4, 0)))


def variants(zero, one, count):
    """The same results in so many variants, each of which was played with the same instances."""
    return [unpaired(zero, one, variant=f"v{i}") for i in range(count)]


def test_an_instance_takes_one_label_in_all_its_variants():
    """Five variants that fail together tell as much as one."""
    zero, one = [1] * 18 + [0] * 2, [1] * 11 + [0] * 9
    exact, _ = exchange_p(success(cells(*variants(zero, one, 1))), seed=1)
    found, test = exchange_p(success(cells(*variants(zero, one, 5))), seed=1, permutations=20_000)
    assert (found, test) == (pytest.approx(exact, rel=0.1), "exchange")
    apart = [unpaired(zero, one, variant=f"v{i}", instances=range(50 * i, 50 * i + 20)) for i in range(5)]
    apart = [(mine, replace(other, instances=other.instances + 5_000 * i)) for i, (mine, other) in enumerate(apart)]
    assert exchange_p(success(cells(*apart)), seed=1)[0] < exact / 100


def test_shared_instances_bring_no_side_to_other_variants_than_it_played():
    few = [unpaired([1, 0, 1, 1], [1, 0, 1, 0, 1, 1], variant="few")]
    matched = cells(*few, unpaired([1, 0, 1, 1] * 5, [1, 1, 0, 0, 1, 1], variant="many"))
    ((zero, one),) = shared(matched)
    assert (zero.instances, one.instances) == (20, 6)
    for c, (sums0, sums1) in _together(matched, zero, one, np.random.default_rng(1), 50):
        assert (sums0[:, TRIALS_COLUMN] == matched[c].base.trials).all()
        assert (sums1[:, TRIALS_COLUMN] == matched[c].candidate.trials).all()
        assert np.ptp(sums0[:, PASSED_COLUMN]) > 0


def test_what_shares_no_instance_is_exchanged_by_itself():
    assert shared(cells(*(both([1, 0], [0, 1], variant=it) for it in "ab"))) == ()
    assert shared(cells(*(unpaired([1, 0], [0, 1], scenario=it) for it in "ab"))) == ()
    alone = [played([[1]] * 3, variant=it, instances=[5] * 3, repeats=range(3)) for it in "ab"]
    again = [replace(it, repeats=it.repeats + 3) for it in alone]
    assert shared(cells(*zip(alone, again, strict=True))) == ()


def test_no_difference_at_all_is_no_evidence():
    assert exchange_p(success(cells(both([1, 0, 1], [1, 0, 1]))), seed=1)[0] == 1


def test_the_same_seed_gives_the_same_p_value():
    rng = np.random.default_rng(9)
    grades = (rng.random((2, 30, 3)) < 0.8).astype(np.int8)
    metric = compounded(cells((played(grades[0]), played(grades[1]))))
    assert exchange_p(metric, seed=1) == exchange_p(metric, seed=1)
    assert exchange_p(metric, seed=1)[0] == pytest.approx(exchange_p(metric, seed=2)[0], abs=0.02)


def test_what_each_metric_is():
    zero = played([[1, 1], [1, 0], [0, 1], [1, 1]], costs=[1, 1, 2, 4])
    matched = cells((zero, played([[1, 1]] * 4, costs=[1, 1, 1, 1])), (played([[1, 0]], variant="poem"),) * 2)
    assert metric_values(success(matched)) == pytest.approx((0.25, 0.5))
    assert metric_values(compounded(matched)) == pytest.approx((0.5 * 9 / 16, 0.5))
    assert metric_values(steps(matched, ["shop/refund/golden#s1"], "x")) == pytest.approx((0.75, 1.0))
    only = cells((zero, played([[1, 1]] * 4, costs=[1, 1, 1, 1])))
    assert metric_values(pass_k(only, 2)) == pytest.approx((1 / 6, 1.0))
    assert np.exp(metric_values(per_success(only, "cost"))) == pytest.approx((1 / 4, 1))  # 8 dollars for 2 successes
    assert np.isnan(metric_values(pass_k(matched, 2))[0])  # the poem was played once
