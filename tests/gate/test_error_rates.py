"""How often gates are wrong, a reduced version of `tests/bench/gate.py`, which prints the whole tables."""

from __future__ import annotations

import numpy as np
import pytest

from agentkit.gate import GateSettings, Outcome, Rule, difference, judge, judge_round, match
from agentkit.gate.metric import success
from agentkit.measure import clopper_pearson
from tests.bench.gate import PLANNED, Case, alarms, covered, power, stops_early
from tests.gate.gate_records import World, played, record, versions

GATES = 100


def rate(found):
    """With the lower end of its exact interval, which must not exceed the level."""
    return float(np.mean(found)), float(clopper_pearson(int(np.sum(found)), len(found)).low)


@pytest.mark.slow
@pytest.mark.parametrize("scenarios", [1, 12])
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("correlated", [True, False])
def test_no_gate_alarms_more_often_than_it_may(scenarios, paired, correlated):
    for blocking in (False, True):
        case = Case(World(scenarios=scenarios, paired=paired, correlated=correlated), blocking)
        found = [alarms(case, gate) for gate in range(GATES)]
        for kind in ("fixed", "sequential", "adaptive"):
            assert rate([getattr(it, kind) for it in found])[1] <= 0.05


@pytest.mark.slow
def test_one_criterion_alone_uses_its_alpha_and_no_more():
    """Of independent pairs, where nothing but discreteness makes the test careful: half of the two-sided 5 %."""
    settings = GateSettings(min_effect=0.0, compounded=False)
    found = []
    for gate in range(600):
        base, alike = versions(World(trials=400, steps=1, accuracy=0.7), np.random.default_rng([gate, 1]))
        found.append(judge(base, alike, settings, suspects=False).outcome is Outcome.FAIL)
    assert 0.010 < np.mean(found) < 0.045


@pytest.mark.slow
def test_a_draw_that_is_hard_in_every_variant_alarms_no_more_often():
    """The same agent twice without pairs: three of ten draws fail in all ten variants of a scenario."""
    alarmed, held = [], []
    for gate in range(200):
        rng = np.random.default_rng([gate, 4])
        sides = [
            record(*(played(easy, variant=f"v{v}", instances=range(first, first + 20)) for v in range(10)))
            for first in (0, 1000)
            for easy in [(rng.random((20, 1)) < 0.7).astype(np.int8)]
        ]
        found = difference(success(match(*sides)), seed=gate, permutations=199)
        alarmed.append(found.p_value <= 0.05 and found.estimate < 0)
        held.append(found.low <= 0 <= found.high)
    assert rate(alarmed)[1] <= 0.025
    assert np.mean(held) >= 0.93


@pytest.mark.slow
def test_a_sequential_gate_keeps_its_power_and_spends_less():
    small, large = ([power(after, gate) for gate in range(GATES)] for after in (0.85, 0.70))
    assert np.mean([it.failed for _, it in small]) > 0.70
    assert np.mean([it.pairs for _, it in large]) <= PLANNED / 4
    assert all(it.failed for _, it in large)
    assert max(it.pairs for _, it in small + large) <= PLANNED


@pytest.mark.slow
def test_looking_often_costs_no_false_alarms():
    """The e-processes alone, looked at after every pair of four scenarios."""
    settings, rule = GateSettings(min_effect=0.0), Rule(alpha_abort=0.04)
    found = []
    for gate in range(400):
        base, alike = versions(World(scenarios=4, trials=400), np.random.default_rng([gate, 2]))
        found.append(stops_early(base, alike, settings, rule, every=1) is not None)
    assert rate(found)[1] <= 0.04


@pytest.mark.slow
def test_an_early_pass_is_seldom_wrong():
    """A drop of exactly the margin: passing it early is the error, and at most 5 % likely."""
    settings, rule, found = GateSettings(compounded=False), Rule(early_pass=True), []
    for gate in range(300):
        base, worse = versions(World(trials=300, steps=1, drop=0.1), np.random.default_rng([gate, 3]))
        evidence = judge_round(base, worse, settings, rule, finished=False).evidence[0]
        assert evidence.no_worse is not None
        found.append(evidence.no_worse >= 20)
    assert rate(found)[1] <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("correlated", [True, False])
def test_intervals_hold_the_difference(paired, correlated):
    world = World(scenarios=4, paired=paired, correlated=correlated, drop=0.05)
    found = [covered(world, gate) for gate in range(200)]
    for k in (0, 1):
        assert np.mean([it.held[k] for it in found]) >= 0.915
