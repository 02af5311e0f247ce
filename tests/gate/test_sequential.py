"""Gates in rounds: when they stop, what they say, and that nothing is spent twice."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from agentkit.errors import UsageError
from agentkit.gate import GateSettings, Next, Outcome, Rule, judge, judge_round, match, next_cells, next_trials
from agentkit.gate.adaptive import PILOT, variances
from agentkit.gate.metric import success
from agentkit.measure import NOT_REACHED
from tests.bench.gate import stops_early, worst_p
from tests.gate.gate_records import World, first_rounds, played, record, versions

ONLY_SUCCESS = GateSettings(compounded=False)


def gate(base, candidate, rounds, settings=ONLY_SUCCESS, rule=Rule()):  # noqa: B008
    """The gate as a run drives it: after every round, until it stops. The rounds played, and what it says."""
    for upto in rounds:
        finished = upto == rounds[-1]
        found = judge_round(base, first_rounds(candidate, upto), settings, rule, finished=finished, permutations=999)
        if found.next is Next.STOP:
            return upto, found
    raise AssertionError("a finished gate stops")


def test_a_collapse_stops_early_and_fails():
    base, worse = versions(World(trials=400, steps=1, drop=0.5), np.random.default_rng(1))
    upto, found = gate(base, worse, range(5, 405, 5))
    assert upto < 100
    assert (found.early, found.verdict.outcome) == (True, Outcome.FAIL)
    (evidence,) = found.evidence
    assert evidence.e_value >= evidence.needed == 100
    assert "lower so far, and the evidence suffices to stop (e = " in found.verdict.sentence
    json.dumps(found.document(), allow_nan=False)


def test_it_stops_at_the_first_round_that_suffices():
    """Ten losses and no win are worth 180, nine 95: the tenth pair stops it."""
    base = record(played([[1]] * 50))
    upto, _ = gate(base, record(played([[0]] * 50), agent="v2"), range(1, 51))
    assert upto == 10


def test_no_change_plays_to_the_end_and_is_judged_by_the_exact_test():
    base, alike = versions(World(trials=400, steps=1), np.random.default_rng(2))
    upto, found = gate(base, alike, range(50, 450, 50))
    assert (upto, found.early, found.verdict.outcome) == (400, False, Outcome.PASS)
    assert found.verdict.judged[0].difference.level == pytest.approx(0.96)
    assert found.verdict.alpha == 0.05


def test_the_final_test_has_what_is_left_of_alpha():
    """Six losses: p = .03125 is significant at .04 and not at .03."""
    base, worse = record(played([[1]] * 60)), record(played([[0]] * 6 + [[1]] * 54), agent="v2")
    assert gate(base, worse, [60])[1].verdict.outcome is Outcome.FAIL
    assert gate(base, worse, [60], rule=Rule(alpha_abort=0.02))[1].verdict.outcome is not Outcome.FAIL


def test_an_early_pass_is_an_option():
    base, alike = record(played([[1, 1]] * 400)), record(played([[1, 1]] * 400), agent="v2")
    upto, found = gate(base, alike, range(10, 410, 10), GateSettings(), Rule(early_pass=True))
    assert upto < 200
    assert (found.early, found.verdict.outcome) == (True, Outcome.PASS)
    assert "10 points lower is ruled out (e = " in found.verdict.sentence
    assert gate(base, alike, range(10, 410, 10), GateSettings())[0] == 400


def test_an_early_pass_waits_for_safety_steps_and_for_criteria_without_a_bet():
    both = played([[1]] * 100)
    base, alike = record(both), record(both, agent="v2")
    safe = replace(ONLY_SUCCESS, safety={"s0": 0.01})  # takes 299 trials
    assert gate(base, alike, range(10, 110, 10), safe, Rule(early_pass=True))[0] == 100
    spending = replace(ONLY_SUCCESS, cost=True)
    assert gate(base, alike, range(10, 110, 10), spending, Rule(early_pass=True))[0] == 100


def test_an_early_pass_counts_safety_where_the_baseline_never_came_to_the_step():
    base = record(played([[1 if n % 2 else NOT_REACHED] for n in range(400)], [1] * 400))
    candidate = record(played([[int(n % 20 > 0)] for n in range(400)], [1] * 400), agent="v2")
    safe = replace(ONLY_SUCCESS, safety={"s0": 0.05})
    upto, found = gate(base, candidate, range(10, 410, 10), safe, Rule(early_pass=True))
    assert (upto, found.verdict.outcome) == (400, Outcome.INCONCLUSIVE)
    assert "safety s0: 20 of 400 failed" in found.verdict.sentence


def test_more_criteria_need_more_evidence():
    base, worse = record(played([[1, 1, 1]] * 50)), record(played([[0, 1, 1]] * 50), agent="v2")
    settings = replace(ONLY_SUCCESS, steps=("each:*",))
    found = judge_round(base, worse, settings, Rule(), finished=False)
    assert {it.needed for it in found.evidence} == {400}
    assert gate(base, worse, range(1, 51), settings)[0] == 12  # 11 losses are worth 344


def test_a_drop_below_the_minimum_effect_never_aborts():
    base, worse = record(played([[1]] * 2000)), record(played([[0]] * 30 + [[1]] * 1970), agent="v2")
    found = judge_round(base, worse, ONLY_SUCCESS, Rule(), finished=False)
    assert found.evidence[0].e_value > 1e4
    assert found.next is Next.CONTINUE


def test_in_rounds_non_inferiority_asks_for_the_margin_alone():
    """Ten losses of 200 pairs are evidence enough (e = 180), but five points may be lost where ten are the margin."""
    settings = replace(ONLY_SUCCESS, mode="non_inferiority")
    base, slightly = (
        record(played([[int(n < passed)] for n in range(200)]), agent=agent)
        for agent, passed in (("v1", 196), ("v2", 186))
    )
    found = judge_round(base, slightly, settings, Rule(), finished=False)
    assert (found.evidence[0].e_value > 100, found.next) == (True, Next.CONTINUE)
    assert judge_round(base, slightly, settings, Rule(), finished=True).verdict.outcome is Outcome.PASS
    found = judge_round(base, slightly, replace(settings, margin=0.04), Rule(), finished=False)
    assert (found.early, found.verdict.outcome) == (True, Outcome.FAIL)


def test_what_does_not_compare_is_told_at_the_end_only():
    base = record(played([[1]] * 20), played([[1]] * 20, variant="poem"))
    half = record(played([[1]] * 10), agent="v2")
    assert judge_round(base, half, ONLY_SUCCESS, Rule(), finished=False).next is Next.CONTINUE
    for rule in (Rule(), Rule(adaptive=True)):
        found = judge_round(base, half, ONLY_SUCCESS, rule, finished=True)
        assert found.verdict.outcome is Outcome.NOT_JUDGED
        assert "did not play shop/refund/poem" in found.verdict.sentence


def test_an_adaptive_gate_decides_by_evidence_alone():
    rule = Rule(adaptive=True)
    base = record(played([[1]] * 60))
    upto, found = gate(base, record(played([[0]] * 60), agent="v2"), range(1, 61), rule=rule)
    assert (upto, found.verdict.outcome) == (7, Outcome.FAIL)  # seven losses are worth 26.8
    upto, found = gate(base, record(played([[1]] * 60), agent="v2"), range(5, 65, 5), rule=rule)
    assert (found.verdict.outcome, found.early) == (Outcome.PASS, True)
    few = record(played([[0]] * 6 + [[1]] * 10), agent="v2")
    found = judge_round(base, few, ONLY_SUCCESS, rule, finished=True)
    assert found.verdict.outcome is Outcome.INCONCLUSIVE
    assert "neither a drop nor its absence is shown (e = " in found.verdict.sentence


@pytest.mark.parametrize(
    ("settings", "rule", "said"),
    [
        (ONLY_SUCCESS, Rule(alpha_abort=0.05), "alpha_abort: found 0.05, expected more than 0 and less than alpha"),
        (replace(ONLY_SUCCESS, target="population"), Rule(), "judges this fixed suite"),
        (replace(ONLY_SUCCESS, mode="non_inferiority"), Rule(adaptive=True), "play a fixed number of trials"),
    ],
)
def test_rules_that_make_no_sense_are_refused(settings, rule, said):
    base = record(played([[1]] * 20))
    with pytest.raises(UsageError, match=said):
        judge_round(base, base, settings, rule, finished=True)


def test_trials_go_where_the_variance_gains_most():
    assert next_cells([0.5, 0.5], [0, 0], [0.1, 0.1], 4).tolist() == [0, 1, 0, 1]
    assert next_cells([0.5, 0.5], [PILOT, 0], [0.1, 0.1], 4).tolist() == [1] * 4
    assert next_cells([0.5, 0.5], [10, 10], [0.1, 0.9], 3).tolist() == [1] * 3
    assert next_cells([0.9, 0.1], [10, 10], [0.2, 0.2], 3).tolist() == [0] * 3
    chosen = next_cells([0.5, 0.5], [PILOT, PILOT], [0.1, 0.4], 300)
    assert 1.8 < (chosen == 1).sum() / (chosen == 0).sum() < 2.2  # as the standard deviations


def test_the_open_cell_gets_the_trials():
    quiet = played([[1]] * 8, scenario="quiet")
    base = record(quiet, played([[1], [0]] * 4, scenario="open"))
    candidate = record(quiet, played([[0], [1]] * 4, scenario="open"), agent="v2")
    cells = match(base, candidate)
    assert [cell.scenario for cell in cells] == ["open", "quiet"]
    spread = variances(success(cells))
    assert spread[0] == pytest.approx(1.0)
    assert spread[1] == pytest.approx(1 / 9)
    assert next_trials(cells, success(cells), 5).tolist() == [0] * 5


@pytest.mark.parametrize("gate_number", range(6))
def test_the_bench_takes_no_short_cut_that_changes_a_verdict(gate_number):
    """The bench skips rounds and intervals; the gate itself, driven round by round, decides the same."""
    drop = (0.0, 0.1, 0.4)[gate_number % 3]
    world = World(scenarios=3, trials=120, drop=drop, paired=gate_number < 3)
    settings = GateSettings(min_effect=0.0, steps=("each:s*",))
    base, candidate = versions(world, np.random.default_rng(gate_number))
    verdict = judge(base, candidate, settings, permutations=499, suspects=False)
    assert (verdict.outcome is Outcome.FAIL) == (worst_p(base, candidate, settings) <= settings.alpha)
    upto, found = gate(base, candidate, range(5, 45, 5), settings)
    early = stops_early(base, candidate, settings, Rule(), every=5)
    assert early == (upto if found.early else None)
