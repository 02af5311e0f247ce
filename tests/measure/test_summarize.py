"""The whole summary and its JSON document."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import AgentkitError
from agentkit.measure import NOT_REACHED, UNGRADED, Cell, summarize
from tests.measure.measure_cells import cell, counted, simulated

PLAY = {"deterministic": False, "seed": 3}


def suite(rng=None, n=30):
    rng = rng or np.random.default_rng(6)
    return [
        simulated(rng, [0.9, 0.8, 0.95], n, scenario=scenario, variant=variant)
        for scenario in ("shop/exchange", "shop/refund")
        for variant in ("golden", "poetry")
    ]


def test_the_document_holds_what_it_promises():
    document = summarize(suite(), **PLAY).document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert [(it["id"], it["variant"]) for it in document["scenarios"]] == [
        ("shop/exchange", "golden"),
        ("shop/exchange", "poetry"),
        ("shop/refund", "golden"),
        ("shop/refund", "poetry"),
    ]
    assert {"id", "variant", "trials", "valid", "invalid", "successes"} <= document["scenarios"][0].keys()
    step = {"scenario", "variant", "step", "reached", "passed", "accuracy", "low", "high"}
    assert len(document["steps"]) == 12
    assert all(step <= it.keys() for it in document["steps"])
    for group in ("all", "golden", "off_path"):
        for figure in ("compounded", "observed", "all_steps_passed"):
            found = document[group][figure]
            assert found["low"] < found["estimate"] < found["high"]
            assert found["method"] == "fixed_suite"
        assert {"estimate", "low", "high"} <= document[group]["gap"].keys()
        assert {"step", "potential"} <= document[group]["fix_first"][0].keys()
    failed = [it for it in document["steps"] if it["passed"] < it["reached"]]
    steps = {f"{it['scenario']}/{it['variant']}#{it['step']}" for it in failed}
    assert {it["step"] for it in document["all"]["fix_first"]} == steps


def test_counts_by_hand():
    rows = [[1, 1], [1, 0], [0, NOT_REACHED], [UNGRADED, 1]]
    play = cell(rows, success=[1, 0, 0, UNGRADED], invalid=2, skills=("verify", None))
    document = summarize([play], **PLAY).document()
    assert document["scenarios"] == [
        {
            "id": "shop/refund",
            "variant": "golden",
            "trials": 6,
            "valid": 4,
            "invalid": 2,
            "successes": 1,
            "ungraded": 1,
        }
    ]
    first, second = document["steps"]
    assert (first["reached"], first["passed"], first["ungraded"], first["skill"]) == (3, 2, 1, "verify")
    assert (second["reached"], second["passed"], second["ungraded"], second["skill"]) == (3, 2, 0, None)
    assert document["all"]["compounded"]["estimate"] == pytest.approx(4 / 9)
    assert document["all"]["observed"]["estimate"] == pytest.approx(1 / 3)
    assert document["all"]["all_steps_passed"]["estimate"] == pytest.approx(1 / 3)
    assert document["all"]["compounded"]["method"] == "beta_product"
    assert document["all"]["observed"]["method"] == "wilson"


def test_groups_take_the_mean_over_scenarios_of_the_mean_over_their_variants():
    cells = [
        counted([20], 20, scenario="a"),
        counted([10], 20, scenario="a", variant="d1"),
        counted([0], 20, scenario="a", variant="d2"),
        counted([5], 10, scenario="b"),
    ]
    summary = summarize(cells, **PLAY)
    assert summary.golden.compounded.estimate == pytest.approx((1 + 0.5) / 2)
    assert summary.off_path.compounded.estimate == pytest.approx((0.5 + 0) / 2)
    assert summary.all.compounded.estimate == pytest.approx(((1 + 0.5 + 0) / 3 + 0.5) / 2)
    assert summary.all.observed.estimate == pytest.approx(((1 + 0.5 + 0) / 3 + 0.5) / 2)


def test_a_step_never_reached_is_unknown_and_not_perfect():
    document = summarize([cell([[1, NOT_REACHED]] * 30)], **PLAY).document()
    step = document["steps"][1]
    assert (step["reached"], step["accuracy"], step["low"], step["high"]) == (0, None, 0, 1)
    compounded = document["all"]["compounded"]
    assert (compounded["estimate"], compounded["low"], compounded["high"]) == (None, 0, 1)
    assert "shop/refund/golden#s1" in compounded["reason"]
    assert document["all"]["gap"]["estimate"] is None


def test_nothing_valid_is_no_number():
    document = summarize([cell(np.empty((0, 2)), invalid=5, steps=2)], **PLAY).document()
    assert document["scenarios"][0]["trials"] == 5
    for figure in ("compounded", "observed", "all_steps_passed"):
        found = document["all"][figure]
        assert (found["estimate"], found["low"], found["high"]) == (None, 0, 1)
        assert found["reason"]
    assert document["all"]["fix_first"] == []
    json.dumps(document, allow_nan=False)


def test_an_empty_group_has_no_number_and_says_why():
    for cells in ([], [counted([5], 10)]):
        group = summarize(cells, **PLAY).document()["off_path"]
        for figure in ("compounded", "observed", "all_steps_passed", "gap"):
            found = group[figure]
            assert (found["estimate"], found["low"], found["high"]) == (None, None, None)
            assert found["reason"]
        assert group["fix_first"] == group["fix_first_skills"] == []


def test_the_planted_truth_is_held_for_four_hundred_trials():
    play = simulated(np.random.default_rng(2024), [0.9] * 5, 400)
    compounded = summarize([play], **PLAY).golden.compounded
    assert compounded.low <= 0.59049 <= compounded.high
    assert compounded.high - compounded.low < 0.12


def test_the_population_is_judged_from_eight_scenarios_on():
    rng = np.random.default_rng(12)
    cells = [simulated(rng, [rng.uniform(0.5, 1), 0.9], 40, scenario=f"s{i}") for i in range(8)]
    few, many = summarize(cells[:7], **PLAY).all, summarize(cells, **PLAY).all
    assert few.compounded_population.estimate is None
    assert "found 7" in few.compounded_population.reason
    assert many.observed_population.method == "t_over_scenarios"
    assert many.compounded_population.method == "shared_steps_sandwich"
    renamed = [
        Cell(it.scenario, it.variant, (f"{it.scenario}_a", "b"), it.grades, it.success, it.instances) for it in cells
    ]
    other = summarize(renamed, **PLAY).all.compounded_population
    assert other.method == "t_over_scenarios"
    assert other.estimate == pytest.approx(summarize(renamed, **PLAY).all.compounded.estimate)


def test_repeats_of_a_deterministic_agent_count_once():
    once = simulated(np.random.default_rng(5), [0.8, 0.9], 20)
    copies = cell(np.repeat(once.grades, 5, axis=0), instances=np.repeat(np.arange(20), 5))
    alone = summarize([once], deterministic=True, seed=1)
    repeated = summarize([copies], deterministic=True, seed=1)
    assert repeated.steps[0].reached == 100
    assert repeated.steps[0].effective == 20
    assert (repeated.steps[0].low, repeated.steps[0].high) == (alone.steps[0].low, alone.steps[0].high)
    assert repeated.all.compounded == alone.all.compounded
    assert repeated.all.observed == alone.all.observed


def test_steps_that_fail_together_widen_the_product():
    rng = np.random.default_rng(1)
    shared = (rng.random((40, 1)) < 0.9).astype(np.int8)
    together = summarize([cell(np.repeat(shared, 5, axis=1))], **PLAY).all
    passed = int(shared.sum())
    apart = summarize([counted([passed] * 5, 40)], **PLAY).all
    assert together.coupling == pytest.approx(5)
    assert together.compounded.estimate == pytest.approx(apart.compounded.estimate)
    wide = together.compounded.high - together.compounded.low
    assert wide > 1.5 * (apart.compounded.high - apart.compounded.low)


def test_the_same_seed_gives_the_same_document_and_another_moves_only_what_is_drawn():
    one, again = (summarize(suite(), **PLAY).document() for _ in range(2))
    other = summarize(suite(), deterministic=False, seed=99).document()
    assert one == again
    assert one["steps"] == other["steps"]
    assert one["all"]["compounded"]["estimate"] == other["all"]["compounded"]["estimate"]
    assert one["golden"]["gap"]["low"] == pytest.approx(other["golden"]["gap"]["low"], abs=0.05)


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.randoms(use_true_random=False))
def test_neither_the_order_of_cells_nor_that_of_trials_matters(random):
    cells = suite(n=12)
    expected = summarize(cells, **PLAY).document()
    shuffled = []
    for it in cells:
        order = list(range(it.valid))
        random.shuffle(order)
        shuffled.append(
            Cell(it.scenario, it.variant, it.steps, it.grades[order], it.success[order], it.instances[order])
        )
    random.shuffle(shuffled)
    assert summarize(shuffled, **PLAY).document() == expected


codes = st.sampled_from([1, 1, 1, 0, NOT_REACHED, UNGRADED])


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(data=st.data(), deterministic=st.booleans())
def test_any_grades_at_all_give_intervals_that_hold_their_estimates(data, deterministic):
    cells = []
    for index in range(data.draw(st.integers(1, 3))):
        trials, steps = data.draw(st.integers(0, 8)), data.draw(st.integers(1, 4))
        drawn = [
            data.draw(st.lists(values, min_size=trials, max_size=trials))
            for values in (
                st.lists(codes, min_size=steps, max_size=steps),
                st.sampled_from([1, 0, UNGRADED]),
                st.integers(0, 4),
            )
        ]
        variant = data.draw(st.sampled_from(["golden", "poetry"]))
        rows, success, instances = drawn
        cells.append(cell(rows, success, scenario=f"s{index}", variant=variant, instances=instances, steps=steps))
    document = summarize(cells, deterministic=deterministic, seed=1).document()
    json.dumps(document, allow_nan=False)
    for group in ("all", "golden", "off_path"):
        for name in ("compounded", "observed", "all_steps_passed"):
            figure = document[group][name]
            if document[group]["cells"]:
                assert 0 <= figure["low"] < figure["high"] <= 1
            if figure["estimate"] is None:
                assert figure["reason"]
            else:
                assert figure["low"] <= figure["estimate"] <= figure["high"]
        gap = document[group]["gap"]
        if gap["estimate"] is not None and gap["low"] is not None and gap["high"] is not None:
            assert gap["low"] <= gap["estimate"] <= gap["high"]
            assert gap["low"] < gap["high"]
        for it in document[group]["fix_first"]:
            assert it["rank_low"] <= it["rank"] <= it["rank_high"]
    for step in document["steps"]:
        assert step["low"] <= (step["accuracy"] if step["accuracy"] is not None else 0.5) <= step["high"]


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 2**32))
def test_all_steps_passed_lies_between_its_bounds_where_every_step_is_reached(n, steps, seed):
    play = simulated(np.random.default_rng(seed), [0.7] * steps, n)
    group = summarize([play], **PLAY).all
    p = play.grades.mean(axis=0)
    assert max(0, p.sum() - steps + 1) - 1e-9 <= group.all_steps_passed.estimate <= p.min() + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": ("a", "a")}, "different steps"),
        ({"steps": ("a", "b", "c")}, r"grades has shape \(4, 2\), expected \(4, 3\)"),
        ({"grades": np.full((4, 2), 7, dtype=np.int8)}, "none of 1, 0, -1"),
        ({"success": np.full(4, -1, dtype=np.int8)}, "a success is none of"),
        ({"instances": np.arange(3)}, "instances has shape"),
        ({"skills": ("a",)}, "1 skills for 2 steps"),
        ({"invalid": -1}, "invalid trials"),
    ],
)
def test_a_cell_that_does_not_fit_together_is_refused(change, message):
    fields = {
        "scenario": "a",
        "variant": "golden",
        "steps": ("a", "b"),
        "grades": np.ones((4, 2), dtype=np.int8),
        "success": np.ones(4, dtype=np.int8),
        "instances": np.arange(4),
    }
    Cell(**fields)
    with pytest.raises(AgentkitError, match=message):
        Cell(**(fields | change))


def test_two_cells_of_one_scenario_and_variant_are_refused():
    with pytest.raises(AgentkitError, match="two sets of trials for shop/refund/golden"):
        summarize([counted([5], 10), counted([6], 10)], **PLAY)


@pytest.mark.slow
def test_the_package_leaves_the_heavy_statistics_alone():
    heavy = "{'scipy.stats', 'statsmodels', 'pandas'}"
    code = f"import sys, agentkit.measure; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
