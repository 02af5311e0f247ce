"""Which step to fix first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.measure import NOT_REACHED, birnbaum, improvement_potential, summarize
from agentkit.measure.priority import rank_interval, worthwhile_target
from agentkit.measure.wording import span
from tests.measure.measure_cells import cell, counted, simulated

accuracies = st.lists(st.floats(0, 1), min_size=1, max_size=8).map(np.array)


def numbers(*cells, seed=2):
    return summarize(cells, deterministic=False, seed=seed).all


def test_birnbaums_worked_values():
    assert birnbaum([0.7, 0.8, 0.9]).tolist() == pytest.approx([0.72, 0.63, 0.56])
    assert improvement_potential([0.7, 0.8, 0.9]).tolist() == pytest.approx([0.216, 0.126, 0.056])


@given(accuracies)
def test_importance_is_the_derivative_and_potential_the_gain_from_perfection(p):
    for k in range(len(p)):
        perfect = np.where(np.arange(len(p)) == k, 1.0, p)
        assert birnbaum(p)[k] == pytest.approx(np.delete(p, k).prod(), abs=1e-12)
        assert improvement_potential(p)[k] == pytest.approx(perfect.prod() - p.prod(), abs=1e-12)


def test_the_weakest_step_comes_first_and_keeps_its_rank_where_the_data_are_clear():
    first = numbers(counted([38, 20, 36], 40)).fix_first[0]
    assert first.name == "shop/refund/golden#s1"
    assert (first.rank, first.rank_low, first.rank_high) == (1, 1, 1)


def test_ranks_stay_open_where_the_data_are_not_clear():
    ranked = numbers(counted([17, 18, 17], 20)).fix_first
    assert [it.rank for it in ranked] == [1, 2, 3]
    assert all((it.rank_low, it.rank_high) == (1, 3) for it in ranked)


def test_a_step_that_never_passed_does_not_erase_the_others():
    ranked = numbers(counted([0, 20, 36], 40)).fix_first
    assert [it.name[-2:] for it in ranked] == ["s0", "s1", "s2"]
    assert all(it.potential > 0 for it in ranked)


def test_a_step_without_a_graded_trial_is_not_ranked():
    ranked = numbers(cell([[1, NOT_REACHED], [0, NOT_REACHED]])).fix_first
    assert [it.name for it in ranked] == ["shop/refund/golden#s0"]
    assert ranked[0].lifted is None
    assert ranked[0].sentence is None


def test_each_scenario_weighs_the_same_however_often_it_was_played():
    rng = np.random.default_rng(0)
    often = simulated(rng, [0.9, 0.99], 2000, scenario="often")
    seldom = simulated(rng, [0.5, 0.99], 100, scenario="seldom")
    assert numbers(often, seldom).fix_first[0].name == "seldom/golden#s0"


@pytest.mark.parametrize(("now", "target"), [(0.5, 0.95), (0.81, 0.95), (0.9, 0.95), (0.96, 0.98), (0, 0.95)])
def test_the_target_is_95_percent_or_half_the_failures(now, target):
    assert worthwhile_target(now) == pytest.approx(target)


def test_the_sentence_of_a_conversation():
    ranked = numbers(counted([81, 58, 100], 100)).fix_first
    assert ranked[1].sentence == ("bringing `s0` from 81 % to 95 % lifts the whole conversation from 47 % to 55 %")
    assert ranked[1].lifted == pytest.approx((0.81 * 0.58, 0.95 * 0.58))
    assert [it.name for it in ranked] == ["shop/refund/golden#s1", "shop/refund/golden#s0"]  # s2 never failed


def test_the_sentence_of_a_suite_names_the_conversation_and_the_whole():
    first = numbers(counted([50, 100], 100, scenario="a"), counted([98, 98], 100, scenario="b")).fix_first[0]
    assert first.sentence == (
        "bringing `s0` from 50 % to 95 % lifts `a/golden` from 50 % to 95 % "
        "and the mean of all 2 conversations from 73 % to 96 %"
    )


def test_the_sentence_admits_when_one_step_alone_lifts_nothing():
    ranked = numbers(counted([0, 0, 30], 40)).fix_first
    assert ranked[0].sentence == (
        "bringing `s0` from 0 % to 95 % lifts nothing by itself: another step of the same conversation never passed"
    )


def test_skills_gather_steps_across_conversations():
    skills = ("verify", None, "pay")
    rows = counted([30, 40, 38], 40).grades
    group = numbers(
        cell(rows, scenario="a", skills=skills),
        cell(rows[:, ::-1], scenario="b", skills=("pay", None, "verify")),
    )
    first, second = group.fix_first_skills
    assert (first.name, second.name) == ("verify", "pay")
    assert (first.passed, first.reached) == (60, 80)
    one_step = next(it for it in group.fix_first if it.skill == "verify")
    assert first.potential == pytest.approx(2 * one_step.potential)
    assert first.lifted == pytest.approx((0.75 * 0.95, 0.95 * 0.95))
    assert first.sentence == (
        "bringing `verify` from 75 % to 95 % lifts the mean of all 2 conversations from 71 % to 90 %"
    )


def test_a_skill_twice_in_a_conversation_counts_what_both_give_together():
    group = numbers(cell(counted([20, 20], 40).grades, skills=("ask", "ask")))
    assert group.fix_first_skills[0].lifted == pytest.approx((0.25, 0.95**2))
    assert group.fix_first_skills[0].potential > sum(it.potential for it in group.fix_first)


def test_ties_leave_the_rank_open():
    low, high = rank_interval(np.array([[3.0, 1.0, 1.0], [3.0, 1.0, 1.0]]))
    assert low.tolist() == [1, 2, 2]
    assert high.tolist() == [1, 3, 3]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ((0.81, 0.95), "81 % to 95 %"),
        ((0.3522, 0.3539), "35.2 % to 35.4 %"),
        ((0.997, 0.9985), "99.7 % to 99.9 %"),
        ((0.0004, 0.5), "0.04 % to 50.00 %"),
        ((0, 0.95), "0 % to 95 %"),
        ((0.5, 0.5), "50 % to 50 %"),
    ],
)
def test_percentages_take_as_many_decimals_as_they_need(change, text):
    assert span(change) == text
