"""Differences: estimate, interval and p-value of one target."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from agentkit.gate import difference, match
from agentkit.gate.metric import compounded, pass_k, per_success, steps, success
from agentkit.gate.proportions import newcombe, tango
from agentkit.measure import NOT_REACHED, UNGRADED
from tests.gate.gate_records import World, played, record, versions


def cells(base, candidate):
    return match(record(*base), record(*candidate, agent="v2"))


def bits(passed, n, **options):
    return played([[int(i < passed)] for i in range(n)], **options)


def test_one_cell_without_pairs_is_newcombes():
    matched = cells([bits(48, 80)], [bits(56, 70, instances=range(1000, 1070))])
    found = difference(success(matched), seed=1)
    assert (found.low, found.high) == pytest.approx(newcombe(56, 70, 48, 80))
    assert (found.estimate, found.paired, found.units) == (pytest.approx(0.2), False, 70)
    assert found.error == pytest.approx(math.sqrt(0.8 * 0.2 / 69 + 0.6 * 0.4 / 79))


def test_pairs_of_one_cell_are_tangos():
    zero, one = [1] * 40 + [0] * 4, [0] * 12 + [1] * 28 + [1, 1, 0, 0]
    matched = cells([played([[y] for y in zero])], [played([[y] for y in one])])
    found = difference(success(matched), seed=1)
    assert (found.low, found.high) == pytest.approx(tuple(map(float, tango(12, 2, 44))))
    assert found.test == "mcnemar_exact"


def test_variants_that_share_instances_are_known_no_better_than_one():
    """Where they fail together, whatever their number; without pairs."""
    single, many = (
        cells(
            [bits(48, 80, variant=f"v{i}") for i in range(count)],
            [bits(56, 70, variant=f"v{i}", instances=range(1000, 1070)) for i in range(count)],
        )
        for count in (1, 10)
    )
    for metric in (success, compounded):
        one, ten = (difference(metric(it), seed=1, permutations=99) for it in (single, many))
        assert (ten.estimate, ten.error) == (pytest.approx(one.estimate), pytest.approx(one.error))
        assert (ten.low, ten.high) == pytest.approx((one.low, one.high), abs=0.02)


def test_variants_that_share_instances_leave_open_what_a_rare_draw_does():
    """Nothing failed in 20 instances, each of which was played in ten variants."""
    base = [bits(20, 20, variant=f"v{i}") for i in range(10)]
    other = [bits(20, 20, variant=f"v{i}", instances=range(50, 70)) for i in range(10)]
    for metric in (success, compounded):
        found = difference(metric(cells(base, other)), seed=1, permutations=99)
        assert found.low <= float(tango(0, 0, 20).low) + 1e-9
        assert difference(metric(cells(base, base)), seed=1, permutations=99).low > -0.1


def test_the_fixed_suites_error_ignores_how_scenarios_differ():
    """Fifty tasks of four trials, as the published conversations have them: .0271 for one side."""
    rng = np.random.default_rng(1)
    passed = rng.binomial(4, rng.beta(0.6, 0.8, size=50))
    base = [bits(x, 4, scenario=f"t{i:02}") for i, x in enumerate(passed)]
    same = [bits(x, 4, scenario=f"t{i:02}", instances=range(50, 54)) for i, x in enumerate(passed)]
    found = difference(success(cells(base, same)), seed=1)
    p = passed / 4
    assert found.error == pytest.approx(math.sqrt(2 * (p * (1 - p) / 3).sum()) / 50)
    assert found.low == pytest.approx(-1.959964 * found.error)
    assert found.estimate == 0


def test_the_population_is_a_t_test_over_scenarios():
    rng = np.random.default_rng(2)
    base = [bits(int(rng.integers(5, 20)), 20, scenario=f"s{i}") for i in range(9)]
    worse = [bits(int(rng.integers(2, 15)), 20, scenario=f"s{i}") for i in range(9)]
    matched = cells(base, worse)
    found = difference(success(matched), seed=1, target="population")
    values = [(cell.candidate.total[0] - cell.base.total[0]) / 20 for cell in matched]
    theirs = ttest_1samp(values, 0)
    assert found.estimate == pytest.approx(np.mean(values))
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval()))
    assert difference(success(matched), seed=1).estimate == pytest.approx(found.estimate)


@pytest.mark.parametrize(
    ("count", "said"), [(7, "8 scenarios or more to judge the population, found 7"), (8, "shows no spread")]
)
def test_a_population_that_cannot_be_judged_says_why(count, said):
    base = [bits(10, 20, scenario=f"s{i}") for i in range(count)]
    found = difference(success(cells(base, base)), seed=1, target="population")
    assert found.estimate is None
    assert said in found.reason


def test_nothing_changed_is_not_certainty():
    same = [played(np.ones((30, 3), dtype=np.int8))]
    z2 = 1.959964**2
    for metric in (success(cells(same, same)), compounded(cells(same, same)), pass_k(cells(same, same), 3)):
        found = difference(metric, seed=1)
        assert (found.estimate, found.p_value) == (0, 1)
        assert found.low <= -z2 / (30 + z2) + 1e-6
        assert found.high >= z2 / (30 + z2) - 1e-6


def test_a_step_is_compared_where_both_were_graded():
    zero = played([[1, 1], [1, NOT_REACHED], [1, 1], [1, 0]])
    matched = cells([zero], [played([[1, 0], [1, 1], [1, 1], [1, NOT_REACHED]])])
    found = difference(steps(matched, ["shop/refund/golden#s1"], "step s1"), seed=1)
    assert (found.base, found.candidate) == (1, 0.5)


def reached(pairs, n, **options):
    """Both steps pass in every trial, but the second and the outcome were graded in some alone."""
    graded = [int(i < pairs) for i in range(n)]
    grades = [[1, 1 if it else NOT_REACHED] for it in graded]
    return played(grades, [1 if it else UNGRADED for it in graded], costs=np.ones(n), **options)


@pytest.mark.parametrize(
    "metric",
    [
        success,
        compounded,
        lambda m: steps(m, ["shop/refund/golden#s1"], "step s1"),
        lambda m: pass_k(m, 2),
        lambda m: per_success(m, "cost"),
    ],
)
def test_pairs_that_were_not_graded_are_no_evidence(metric):
    """Two of a hundred pairs tell as much as two pairs alone."""
    alone, among = (difference(metric(cells([it], [it])), seed=1) for it in (reached(2, 2), reached(2, 100)))
    assert (alone.units, alone.ungraded, among.units, among.ungraded) == (2, 0, 2, 98)
    assert (among.low, among.high) == pytest.approx((alone.low, alone.high), abs=0.04)  # the first step is known better
    assert among.low <= float(tango(0, 0, 2).low) + 1e-9


def test_pairs_of_many_cells_count_where_they_were_graded():
    both = [reached(1, 20, scenario=f"s{i}") for i in range(10)]
    found = difference(steps(cells(both, both), [f"s{i}/golden#s1" for i in range(10)], "steps s1"), seed=1)
    assert (found.low, found.high) == pytest.approx(tuple(map(float, tango(0, 0, 10))))
    assert (found.units, found.ungraded) == (10, 190)


def test_steps_taken_together_are_known_as_far_as_each_was_graded():
    """One of two steps was graded twice: what it may do to the mean stays open, also where the other one failed."""
    both = [f"shop/refund/golden#s{k}" for k in (0, 1)]
    zero, one = reached(2, 100), reached(2, 100)
    one.grades[0, 0] = 0
    for candidate in (zero, one):
        found = difference(steps(cells([zero], [candidate]), both, "both"), seed=1)
        assert found.low < -0.3
        assert (found.units, found.ungraded) == (7, 93)
    every = reached(100, 100)
    assert difference(steps(cells([every], [every]), both, "both"), seed=1).units == 100


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (
            lambda m: steps(m, ["shop/refund/golden#s1"], "x"),
            "no graded trial of which both versions were graded of shop",
        ),
        (lambda m: pass_k(m, 9), "no 9 graded trials of shop/refund/golden"),
        (lambda m: per_success(m, "cost"), "the candidate: no known cost of shop/refund/golden"),
        (lambda m: per_success(m, "seconds"), "the candidate never succeeded"),
        (lambda m: success(()), "no scenario that both versions played has it"),
    ],
)
def test_what_cannot_be_judged_says_why(metric, said):
    zero = played([[1, 1], [1, NOT_REACHED]])
    one = played([[0, NOT_REACHED], [0, 1]], costs=[np.nan, 1])
    found = difference(metric(cells([zero], [one])), seed=1)
    assert (found.estimate, found.low, found.p_value) == (None, None, None)
    assert said in found.reason


def test_what_is_spent_is_a_ratio():
    rng = np.random.default_rng(4)
    zero = played(np.ones((60, 1), dtype=np.int8), costs=rng.gamma(9, 1 / 9, 60))
    one = played(np.ones((60, 1), dtype=np.int8), costs=rng.gamma(9, 1.5 / 9, 60))
    found = difference(per_success(cells([zero], [one]), "cost"), seed=1)
    assert found.base == pytest.approx(zero.costs.mean())
    assert math.exp(-found.estimate) == pytest.approx(one.costs.mean() / zero.costs.mean())
    assert math.exp(-found.high) < 1.5 < math.exp(-found.low)
    assert found.p_value < 0.01


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("correlated", [True, False])
def test_every_number_holds_together(paired, correlated):
    world = World(scenarios=4, trials=160, drop=0.1, paired=paired, correlated=correlated)
    matched = match(*versions(world, np.random.default_rng(6)))
    for metric in (success(matched), compounded(matched), pass_k(matched, 2)):
        found = difference(metric, seed=1, permutations=999)
        assert found.paired is paired
        assert -1 <= found.low < found.estimate < found.high <= 1
        assert found.estimate == pytest.approx(found.candidate - found.base)
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high) or 0.01 < found.p_value < 0.2
        assert 0.5 < (found.high - found.low) / (2 * 1.96 * found.error) < 2.5
        json.dumps(found.document(), allow_nan=False)


@pytest.mark.slow
def test_the_package_leaves_heavy_libraries_alone():
    heavy = "{'scipy.stats', 'scipy.optimize', 'statsmodels', 'pandas'}"
    code = f"import sys, agentkit.gate; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
