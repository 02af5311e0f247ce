"""Forks in the statistics: what one of them counts for, and what it never says."""

from __future__ import annotations

import numpy as np
import pytest

from agentkit.errors import UsageError
from agentkit.measure import Cell, summarize
from agentkit.measure.propagation import difference, propagation
from agentkit.measure.rows import cells
from agentkit.records import Fork, ForkKind, Status, Stop, Verdict
from agentkit.store import GradeRow, StepRow

GOLDEN, RUDE = "golden", "rude"


def fork_row(index, variant, turn, serves, *results, verdict=Verdict.OPEN, instance=7):
    """A fork of a scenario whose turn n has the one step `s<n>`."""
    steps = tuple(
        StepRow(f"s{n}", Status.PASSED if n == turn and results[0] else Status.FAILED, None, n)
        if n == turn
        else StepRow(f"s{n}", Status.NOT_REACHED, None, n)
        for n in range(3)
    )
    fork = Fork(variant, turn, 3, ForkKind.GOLDEN, serves)
    return GradeRow(
        index, "shop", f"{variant}/{turn + 1}", instance, 0, verdict, False, None, Stop.COMPLETED, steps, (), fork
    )


def test_a_fork_is_in_the_cell_of_every_variant_that_it_counts_for():
    golden, rude = cells(
        [
            fork_row(0, RUDE, 1, (RUDE,), False),
            fork_row(1, GOLDEN, 0, (GOLDEN, RUDE), True),
            fork_row(2, GOLDEN, 1, (GOLDEN,), True),
            fork_row(3, GOLDEN, 2, (GOLDEN, RUDE), True),
        ]
    )[::-1]
    assert (golden.variant, rude.variant) == (GOLDEN, RUDE)
    assert golden.forks.tolist() == [1, 2, 3]
    assert rude.forks.tolist() == [0, 1, 3]
    summary = summarize([golden, rude], deterministic=False, seed=0)
    assert summary.forks == 4
    accuracy = {(it.variant, it.step): (it.passed, it.reached) for it in summary.steps}
    assert accuracy[RUDE, "s1"] == (0, 1)
    assert accuracy[GOLDEN, "s1"] == accuracy[RUDE, "s0"] == accuracy[RUDE, "s2"] == (1, 1)


def test_a_turn_without_a_fork_leaves_the_product_unknown():
    (golden,) = cells([fork_row(0, GOLDEN, 0, (GOLDEN,), True)])
    assert summarize([golden], deterministic=False, seed=0).golden.compounded.estimate is None


def test_a_variant_that_differs_nowhere_is_due_what_is_due_on_the_golden_path():
    found = cells([fork_row(0, GOLDEN, 0, (GOLDEN, RUDE), True)])
    assert [cell.steps for cell in found] == [("s0", "s1", "s2")] * 2


def test_an_invalid_fork_counts_neither_way_and_once():
    golden, rude = cells([fork_row(0, GOLDEN, 0, (GOLDEN, RUDE), True, verdict=Verdict.INVALID)])
    assert (golden.valid, golden.invalid, rude.valid, rude.invalid) == (0, 1, 0, 0)


def forked_cell(variant, grades, forks):
    grades = np.array(grades, dtype=np.int8)
    trials, steps = grades.shape
    return Cell(
        "shop",
        variant,
        tuple(f"s{n}" for n in range(steps)),
        grades,
        np.full(trials, -2, dtype=np.int8),
        np.arange(trials),
        forks=np.array(forks),
    )


def test_cells_of_the_same_forks_are_no_surer_together_than_alone():
    rng = np.random.default_rng(0)
    grades = (rng.random((40, 1)) < 0.8).astype(np.int8)
    one = summarize([forked_cell(GOLDEN, grades, range(40))], deterministic=False, seed=0).all.compounded
    copies = [forked_cell(name, grades, range(40)) for name in (GOLDEN, *"abcdefgh")]
    many = summarize(copies, deterministic=False, seed=0).all.compounded
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.15)
    apart = [forked_cell(name, grades, range(100 * n, 100 * n + 40)) for n, name in enumerate((GOLDEN, *"abcdefgh"))]
    same_instances = summarize(apart, deterministic=False, seed=0).all.compounded
    assert same_instances.high - same_instances.low == pytest.approx(many.high - many.low, rel=0.15)


def test_cells_of_the_same_forks_are_no_surer_together_where_nothing_failed():
    grades = np.ones((20, 1), dtype=np.int8)
    one = summarize([forked_cell(GOLDEN, grades, range(20))], deterministic=False, seed=0).all.compounded
    copies = [forked_cell(name, grades, range(20)) for name in (GOLDEN, *"abcdefgh")]
    many = summarize(copies, deterministic=False, seed=0).all.compounded
    assert one.low == pytest.approx(many.low, abs=0.01)


def test_the_interval_of_a_difference():
    cost = difference((0.9, 0.8, 0.95), (0.6, 0.5, 0.7))
    assert cost.estimate == pytest.approx(0.3)
    assert cost.low == pytest.approx(0.3 - (0.1**2 + 0.1**2) ** 0.5)
    assert cost.high == pytest.approx(0.3 + (0.05**2 + 0.1**2) ** 0.5)


def test_how_often_the_interval_of_a_difference_holds_it():
    from agentkit.measure import wilson

    rng = np.random.default_rng(1)
    held = 0
    for x, y in zip(rng.binomial(30, 0.9, 2000), rng.binomial(30, 0.7, 2000), strict=True):
        ends = [(k / 30, *(float(end) for end in wilson(k, 30))) for k in (x, y)]
        cost = difference(*ends)
        held += cost.low <= 0.2 <= cost.high
    assert 0.94 <= held / 2000 <= 0.975


def whole_cell(variant, grades):
    grades = np.array(grades, dtype=np.int8)
    names = tuple(f"s{n}" for n in range(grades.shape[1]))
    return Cell("shop", variant, names, grades, grades.min(axis=1), np.arange(len(grades)))


def test_a_cost_needs_forks_against_whole_conversations():
    forks = summarize([forked_cell(GOLDEN, [[1], [1]], [0, 1])], deterministic=False, seed=0)
    whole = summarize([whole_cell(GOLDEN, [[1], [0]])], deterministic=False, seed=0)
    with pytest.raises(UsageError, match="forks against"):
        propagation(whole, forks)
    found = propagation(forks, whole).document()
    assert found["steps"][0]["cost"]["estimate"] == 0.5
    assert found["groups"]["golden"]["compounded_given"] == 1.0
    assert found["groups"]["golden"]["observed"] == 0.5
    assert found["reason"] is None
    more = summarize([whole_cell(GOLDEN, [[1]]), whole_cell(RUDE, [[1]])], deterministic=False, seed=0)
    assert "off_path, all cannot be compared" in propagation(forks, more).reason
    other = summarize([whole_cell(RUDE, [[1]])], deterministic=False, seed=0)
    with pytest.raises(UsageError, match="no step in common"):
        propagation(forks, other)


@pytest.mark.slow
def test_steps_are_named_by_the_false_discovery_rate():
    rng = np.random.default_rng(2)
    given, played = np.ones((60, 200)), np.ones((60, 200))
    given[:, :] = rng.random((60, 200)) < 0.9
    played[:, :] = rng.random((60, 200)) < np.where(np.arange(200) < 20, 0.4, 0.9)
    forks = summarize([forked_cell(GOLDEN, given, range(60))], deterministic=False, seed=0)
    whole = summarize([whole_cell(GOLDEN, played)], deterministic=False, seed=0)
    steps = propagation(forks, whole).steps
    named = {it.given.step for it in steps if it.is_clear}
    worse = {f"s{n}" for n in range(20)}
    assert worse <= named
    assert len(named - worse) <= 4
    assert sum(it.cost.low > 0 for it in steps) > len(named)
