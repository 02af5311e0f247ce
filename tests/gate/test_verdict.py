"""The verdict: three ways it can go, what cannot be judged, and what is said."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import ExitCode, UsageError
from agentkit.gate import GateSettings, Outcome, Quarantine, judge
from agentkit.gate.judged import Judged
from agentkit.gate.verdict import overall
from agentkit.measure import NOT_REACHED, UNGRADED
from tests.gate.gate_records import World, played, record, versions

ONLY_SUCCESS = GateSettings(compounded=False)


def bits(passed, n, **options):
    return played([[int(i < passed)] for i in range(n)], **options)


def sides(base, candidate):
    return record(base), record(candidate, agent="v2")


def criterion(verdict, name="observed success") -> Judged:
    return next(it for it in verdict.judged if it.name == name)


def test_a_clear_drop_fails_and_says_so():
    verdict = judge(*sides(bits(190, 200), bits(160, 200)), ONLY_SUCCESS)
    assert (verdict.outcome, verdict.outcome.exit_code) == (Outcome.FAIL, ExitCode.FAIL)
    assert verdict.sentence == (
        "fail: observed success 95 % → 80 %, 15 points lower (95 % interval: 11 to 21 points lower; 200 pairs): "
        "worse, p < 0.001, and more than the 2 points that do not count"
    )


def test_no_difference_in_enough_pairs_passes():
    verdict = judge(*sides(bits(190, 200), bits(189, 200)), ONLY_SUCCESS)
    assert verdict.outcome is Outcome.PASS
    assert verdict.outcome.exit_code is ExitCode.PASS
    assert verdict.sentence.endswith("200 pairs): 10 points lower is ruled out")


def test_too_few_pairs_are_inconclusive_and_say_what_it_would_take():
    verdict = judge(*sides(bits(19, 20), bits(19, 20)), ONLY_SUCCESS)
    assert verdict.outcome.exit_code is ExitCode.INCONCLUSIVE
    it = criterion(verdict)
    assert it.more == pytest.approx(20 * ((it.difference.low / 0.1) ** 2 - 1), abs=1)
    assert f"10 points lower is not ruled out; about {it.more} more pairs would decide it" in verdict.sentence
    enough = 20 + 2 * it.more
    assert judge(*sides(bits(enough - 2, enough), bits(enough - 2, enough)), ONLY_SUCCESS).outcome is Outcome.PASS


def test_a_step_that_few_pairs_reached_is_not_judged_by_the_others():
    both = played([[1, 1 if n < 2 else NOT_REACHED] for n in range(100)], [1] * 100)
    settings = GateSettings(success=False, compounded=False, steps=("s1",), mode="non_inferiority")
    verdict = judge(*sides(both, both), settings)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    it = criterion(verdict, "step shop/refund/golden#s1")
    assert it.more == pytest.approx(100 * ((it.difference.low / 0.1) ** 2 - 1), abs=1)
    assert "2 of 100 pairs count): 10 points lower is not ruled out; about" in verdict.sentence
    assert verdict.notes[0].startswith("with 2 pairs, ")


def test_a_drop_needs_significance_and_size():
    small = judge(*sides(bits(2000, 2000), bits(1970, 2000)), ONLY_SUCCESS)  # 1.5 points, p < 1e-8
    assert criterion(small).adjusted_p < 1e-6
    assert small.outcome is Outcome.PASS
    loud = judge(*sides(bits(20, 20), bits(17, 20)), ONLY_SUCCESS)  # 15 points, p = .25
    assert loud.outcome is Outcome.INCONCLUSIVE
    assert "no drop is shown (p = 0.250)" in loud.sentence
    either = judge(*sides(bits(2000, 2000), bits(1970, 2000)), replace(ONLY_SUCCESS, min_effect=0.0))
    assert either.outcome is Outcome.FAIL
    assert either.sentence.endswith("and any drop counts")


def test_better_is_no_failure():
    verdict = judge(*sides(bits(150, 200), bits(190, 200)), ONLY_SUCCESS)
    assert verdict.outcome is Outcome.PASS
    assert "20 points higher" in verdict.sentence


def test_many_criteria_share_alpha():
    """p = .03125 for one step alone fails; beside nine others it does not, and says why."""
    base, worse = np.ones((40, 10), dtype=np.int8), np.ones((40, 10), dtype=np.int8)
    worse[:6, 0] = 0
    alone = GateSettings(success=False, compounded=False, steps=("s0",))
    verdict = judge(*sides(played(base), played(worse)), alone)
    assert criterion(verdict, "step shop/refund/golden#s0").adjusted_p == pytest.approx(0.03125)
    assert verdict.outcome is Outcome.FAIL
    many = judge(*sides(played(base), played(worse)), replace(alone, steps=("each:*",)))
    assert criterion(many, "step shop/refund/golden#s0").adjusted_p == pytest.approx(0.3125)
    assert many.outcome is Outcome.INCONCLUSIVE
    assert "p = 0.312, all criteria taken together" in many.sentence
    whole = judge(*sides(played(base), played(worse)), replace(alone, success=True, min_effect=0.0, steps=("each:*",)))
    assert criterion(whole).adjusted_p == pytest.approx(0.0625)  # half of alpha is the whole suite's
    pooled = judge(*sides(played(base), played(worse)), replace(alone, steps=("*",)))
    assert len(pooled.judged) == 1


def test_non_inferiority_asks_for_the_margin_alone():
    settings = replace(ONLY_SUCCESS, mode="non_inferiority")
    base, slightly = bits(196, 200), bits(186, 200)  # 5 points lower, p = .002
    assert judge(*sides(base, slightly), ONLY_SUCCESS).outcome is Outcome.FAIL
    found = judge(*sides(base, slightly), settings)
    assert found.outcome is Outcome.PASS
    assert criterion(found).difference.level == pytest.approx(0.9)
    assert judge(*sides(base, slightly), replace(settings, margin=0.049)).outcome is Outcome.FAIL
    assert judge(*sides(base, slightly), replace(settings, margin=0.05)).outcome is Outcome.INCONCLUSIVE
    assert judge(*sides(base, slightly), replace(settings, margin=0.06)).outcome is Outcome.INCONCLUSIVE
    assert judge(*sides(base, bits(150, 200)), settings).outcome is Outcome.FAIL


def test_non_inferiority_tells_its_power():
    settings = GateSettings(mode="non_inferiority", steps=("s0", "s1"))
    both = played(np.ones((100, 2), dtype=np.int8))
    assert judge(*sides(both, both), settings).notes == (
        "with 100 pairs, 10 % of them differing, a candidate that is no worse passes all of 4 criteria "
        "with a chance of 77 %",
    )
    few = played(np.ones((40, 2), dtype=np.int8))
    assert judge(*sides(few, few), settings).notes[0].endswith("play 100 or more")


@pytest.mark.parametrize(
    ("failures", "trials", "outcome", "said"),
    [
        (
            0,
            5,
            Outcome.INCONCLUSIVE,
            "0 of 5 failed, which leaves up to 45.1 % open, over the limit of 5 %; it takes 59",
        ),
        (0, 59, Outcome.PASS, "0 of 59 failed, at most 5 %, within the limit of 5 %"),
        (1, 59, Outcome.INCONCLUSIVE, "1 of 59 failed, which leaves up to 7.8 % open, over the limit of 5 %; about 34"),
        (9, 60, Outcome.FAIL, "9 of 60 failed, which is shown to be more than the limit of 5 % (p = 0.003)"),
    ],
)
def test_safety_steps_need_their_bound(failures, trials, outcome, said):
    both = bits(trials - failures, trials)
    settings = GateSettings(success=False, compounded=False, safety={"s0": 0.05})
    verdict = judge(*sides(both, both), settings)
    assert verdict.outcome is outcome
    assert said in verdict.sentence


def test_a_safety_step_never_graded_is_never_safe():
    both = played([[1, NOT_REACHED]] * 60)
    verdict = judge(*sides(both, both), GateSettings(success=False, compounded=False, safety={"s1": 0.05}))
    assert verdict.outcome.exit_code is ExitCode.NOT_JUDGED
    assert "no graded trial" in verdict.sentence


SAFE = GateSettings(success=False, compounded=False, safety={"s0": 0.05})


def test_safety_counts_what_the_baseline_never_played():
    candidate = played([[1]] * 60 + [[0]] * 6 + [[1]] * 134)
    verdict = judge(*sides(bits(60, 60), candidate), SAFE)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "safety s0: 6 of 200 failed, which leaves up to 5.8 % open, over the limit of 5 %" in verdict.sentence
    assert verdict.notes[0] == (
        "140 trials have no counterpart on the other side and were left out; "
        "safety counts all that the candidate played"
    )


def test_safety_counts_trials_whose_counterpart_in_the_baseline_ended_before_the_step():
    base = played([[NOT_REACHED]] * 20 + [[1]] * 60, [1] * 80)
    candidate = played([[0]] * 20 + [[1]] * 60, [1] * 80)
    verdict = judge(*sides(base, candidate), SAFE)
    assert verdict.outcome is Outcome.FAIL
    assert "safety s0: 20 of 80 failed" in verdict.sentence
    unknown = played([[UNGRADED]] * 20 + [[1]] * 60, [1] * 80)
    assert judge(*sides(unknown, candidate), SAFE).sentence == verdict.sentence


def test_safety_counts_a_new_variant_and_a_new_step_too():
    fine = bits(60, 60)
    candidate = record(fine, bits(40, 60, variant="poem"), agent="v2")
    verdict = judge(record(fine), candidate, SAFE)
    assert verdict.outcome is Outcome.FAIL
    assert "safety s0: 20 of 120 failed" in verdict.sentence
    both = played([[1, int(i >= 20)] for i in range(60)], steps=("s0", "s1"))
    verdict = judge(*sides(fine, both), replace(SAFE, safety={"s1": 0.05}))
    assert "safety s1: 20 of 60 failed" in verdict.sentence


@pytest.mark.parametrize("known", [{"shop/refund#calm": ("safety",)}, {}])
def test_safety_by_tag_counts_a_new_step_of_an_accepted_scenario(known):
    """Whether the baseline knows tags of the scenario, or none as in an old file."""
    base = replace(record(bits(60, 60, steps=("calm",))), tags=known)
    changed = record(played([[1, 0]] * 60, [1] * 60, steps=("calm", "no_secrets")), agent="v2", digest="d2")
    candidate = replace(changed, tags={"shop/refund#calm": ("safety",), "shop/refund#no_secrets": ("safety",)})
    verdict = judge(base, candidate, replace(SAFE, safety={"tag:safety": 0.05}, accept=("shop/refund",)))
    assert verdict.outcome is Outcome.FAIL
    assert "safety tag:safety: 60 of 120 failed" in verdict.sentence


def test_a_step_that_lost_its_tag_keeps_its_limit():
    base = replace(record(bits(60, 60)), tags={"shop/refund#s0": ("safety",)})
    verdict = judge(base, record(bits(40, 60), agent="v2"), replace(SAFE, safety={"tag:safety": 0.05}))
    assert "safety tag:safety: 20 of 60 failed" in verdict.sentence


@pytest.mark.parametrize("deterministic", [False, True])
def test_safety_takes_an_instance_as_one_unit_that_failed_where_a_repeat_did(deterministic):
    again = {"instances": [n // 4 for n in range(240)], "repeats": [n % 4 for n in range(240)]}
    grades = [[int(n % 8 != 3)] for n in range(240)]  # the last repeat of every other instance
    candidate = record(played(grades, **again), agent="v2", deterministic=deterministic)
    verdict = judge(record(bits(60, 60)), candidate, SAFE)
    assert "safety s0: 30 of 60 failed" in verdict.sentence
    one = {"instances": [5] * 80, "repeats": range(80)}
    alone = record(played([[1]] * 80, **one), deterministic=deterministic)
    other = replace(alone, run="run-other")
    trials = 1 if deterministic else 80
    assert f"safety s0: 0 of {trials} failed" in judge(alone, other, SAFE).sentence
    assert "safety s0: 0 of 1 failed" in judge(record(bits(60, 60)), other, SAFE).sentence


def test_quarantined_steps_are_not_counted_for_safety():
    aside = Quarantine("shop/refund/poem#s0", "ada", "clock of the test bench", date(2026, 3, 1))
    candidate = record(bits(60, 60), bits(0, 60, variant="poem"), agent="v2")
    verdict = judge(record(bits(60, 60)), candidate, SAFE, quarantined=[aside])
    assert verdict.outcome is Outcome.PASS
    assert "safety s0: 0 of 60 failed" in verdict.sentence


def test_advice_never_decides():
    settings = replace(ONLY_SUCCESS, steps=("s0",), advisory=frozenset({"shop/refund/golden#s0"}))
    base, worse = played([[1, 1]] * 200, [1] * 200), played([[0, 1]] * 200, [1] * 200)
    verdict = judge(*sides(base, worse), settings)
    assert verdict.outcome is Outcome.PASS
    advice = criterion(verdict, "step shop/refund/golden#s0")
    assert (advice.blocking, advice.outcome, advice.adjusted_p) == (False, Outcome.FAIL, None)
    assert verdict.reasons[-1] == advice.reason
    nothing = replace(settings, success=False)
    assert judge(*sides(base, worse), nothing).outcome is Outcome.NOT_JUDGED


def test_suspects_are_named_and_decide_nothing():
    base, worse = np.ones((60, 5), dtype=np.int8), np.ones((60, 5), dtype=np.int8)
    worse[:9, 2] = 0
    verdict = judge(*sides(played(base, [1] * 60), played(worse, [1] * 60)), ONLY_SUCCESS)
    assert verdict.outcome is Outcome.PASS
    assert [it.step for it in verdict.suspects] == ["shop/refund/golden#s2"]
    assert verdict.suspects[0].q_value == pytest.approx(5 * 2 / 2**9)


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (record(bits(9, 10, variant="poem")), "the candidate did not play shop/refund/golden"),
        (record(bits(0, 0)), "the candidate has no valid trial of shop/refund/golden"),
        (record(bits(9, 10), digest="d2"), "changed since the baseline was written: shop/refund; accept the change"),
        (record(bits(9, 10, steps=("other",))), "these steps were due: shop/refund/golden#s0"),
        (
            record(bits(9, 10, invalid=((77, 0), (78, 0)))),
            "2 of 12 trials of the candidate are invalid (16.7 %), more than the 10 % allowed",
        ),
    ],
)
def test_what_does_not_compare_is_not_judged(candidate, said):
    verdict = judge(record(bits(10, 10), agent="v0"), candidate, ONLY_SUCCESS)
    assert (verdict.outcome, verdict.outcome.exit_code) == (Outcome.NOT_JUDGED, ExitCode.NOT_JUDGED)
    assert said in verdict.sentence
    json.dumps(verdict.document(), allow_nan=False)


def test_a_run_compared_with_itself_is_not_judged():
    it = record(bits(190, 200))
    verdict = judge(it, replace(it, agent="v2"), ONLY_SUCCESS)
    assert verdict.outcome is Outcome.NOT_JUDGED
    assert verdict.sentence == "could not judge: both sides are run run-v1; expected two different runs"


def test_an_empty_baseline_judges_nothing():
    assert judge(record(agent="v0"), record(bits(9, 10)), ONLY_SUCCESS).sentence == (
        "could not judge: the baseline holds no trials"
    )


def test_outcomes_that_nobody_could_judge_are_no_pass():
    both = played([[1]] * 60, [UNGRADED] * 60)
    verdict = judge(*sides(both, both), GateSettings())
    assert verdict.outcome is Outcome.NOT_JUDGED
    assert "observed success could not be judged: the baseline: no graded trial" in verdict.sentence


def test_an_accepted_change_is_compared_and_noted():
    changed = record(played([[1, 1]] * 200, steps=("s0", "new")), agent="v2", digest="d2")
    base = record(played([[1, 1]] * 200, steps=("s0", "old")))
    for accept in ("shop/refund", "*"):
        verdict = judge(base, changed, replace(ONLY_SUCCESS, accept=(accept,)))
        assert verdict.outcome is Outcome.PASS
        assert "steps of the baseline that are gone: shop/refund/golden#old" in verdict.notes
        assert "changed since the baseline, accepted: shop/refund" in verdict.notes


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({"ann": "h1", "bob": "h2"}, {"ann": "h1", "bob": "h9"}, "bob has changed"),
        ({"ann": "h1"}, {}, "ann spoke in the baseline alone"),
        ({}, {"ann": "h1"}, "ann speaks in the candidate alone"),
        ({"ann": "h1"}, {"bob": "h1"}, "ann spoke in the baseline alone, bob speaks in the candidate alone"),
    ],
)
def test_other_users_are_not_compared_unless_all_of_them_are_accepted(ours, theirs, said):
    base, candidate = (
        replace(it, users=users) for it, users in zip(sides(*[bits(190, 200)] * 2), (ours, theirs), strict=True)
    )
    verdict = judge(base, candidate, ONLY_SUCCESS)
    assert verdict.outcome is Outcome.NOT_JUDGED
    assert verdict.sentence == (
        f"could not judge: the simulated users are not those of the baseline: {said}; accept them (--accept-user), "
        "play with the baseline's users, or write the baseline again"
    )
    assert judge(base, candidate, replace(ONLY_SUCCESS, accept_users=("cleo",))).outcome is Outcome.NOT_JUDGED
    differing = tuple(name for name in ("ann", "bob") if ours.get(name) != theirs.get(name))
    for accepted in (differing, ("*",)):
        verdict = judge(base, candidate, replace(ONLY_SUCCESS, accept_users=accepted))
        assert verdict.outcome is Outcome.PASS
        assert f"simulated users that differ, accepted: {said}" in verdict.notes


def test_where_one_side_does_not_say_who_spoke_a_note_does():
    base = record(bits(190, 200))
    known = replace(base, run="run-v2", users={"ann": "h1"})
    for sides_, named in (((base, known), "the baseline"), ((known, base), "the candidate")):
        verdict = judge(*sides_, ONLY_SUCCESS)
        assert verdict.outcome is Outcome.PASS
        assert verdict.notes == (
            f"{named} does not say who played its users, so whether both sides had the same is not known",
        )
    assert judge(base, base, ONLY_SUCCESS).notes == judge(known, known, ONLY_SUCCESS).notes == ()


def test_quarantined_steps_do_not_count_and_are_never_silent():
    base, flaky = played([[1, 1]] * 100, [1] * 100), played([[1, 0]] * 100, [1] * 100)
    settings = GateSettings(success=False)
    assert judge(*sides(base, flaky), settings).outcome is Outcome.FAIL
    quarantine = Quarantine("shop/refund/golden#s1", "ada", "clock of the test bench", date(2026, 3, 1))
    verdict = judge(*sides(base, flaky), settings, quarantined=[quarantine])
    assert verdict.outcome is Outcome.PASS
    assert verdict.notes[0] == (
        "quarantined until 2026-03-01 by ada, so not judged: shop/refund/golden#s1 (clock of the test bench)"
    )


def test_notes_tell_with_what_else_a_side_was_played():
    base = replace(record(bits(40, 40)), versions={"python": "3.11.9", "vllm": "0.11", "precision": "bfloat16"})
    other = replace(base, versions={"python": "3.11.9", "precision": "float32", "mcp": "1.2"})
    said = "played with other versions: mcp none → 1.2, precision bfloat16 → float32, vllm 0.11 → none"
    assert said in judge(base, other, ONLY_SUCCESS).notes
    for same in (base, replace(base, versions={})):
        assert not [note for note in judge(base, same, ONLY_SUCCESS).notes if "versions" in note]


def test_notes_tell_what_was_left_out():
    base = record(bits(40, 40), bits(40, 40, variant="poem"))
    other = record(bits(38, 38), bits(40, 40, variant="poem", instances=range(900, 940)), bits(3, 3, variant="new"))
    notes = judge(base, other, ONLY_SUCCESS).notes
    assert "new, so not compared: shop/refund/new" in notes
    assert "2 trials have no counterpart on the other side and were left out" in notes
    assert "not played with the baseline's seeds, so compared without pairs: shop/refund/poem" in notes
    alone = judge(record(bits(9, 9)), record(bits(9, 9, instances=range(50, 59))), ONLY_SUCCESS)
    assert "did not play the baseline's seeds" in alone.notes[0]
    assert len(alone.notes) == 1
    apart = record(*(bits(40, 40, variant=it, instances=range(900, 940)) for it in ("golden", "poem")))
    assert (
        "without pairs, all that the variants of a scenario played of one instance is one unit: shop/refund; "
        "more instances tell more, or the baseline's seeds"
    ) in judge(base, apart, ONLY_SUCCESS).notes


def test_selectors_name_steps_by_id_pattern_skill_and_tag():
    cells = [
        played(np.ones((50, 2), dtype=np.int8), scenario="a", steps=("ask", "pay"), skills=("verify", None)),
        played(np.ones((50, 2), dtype=np.int8), scenario="b", steps=("pay", "ask"), skills=(None, "verify")),
    ]
    base = record(*cells, tag="money")
    chosen = {
        "a/golden#pay": "step a/golden#pay",
        "pay": "steps pay",
        "a/*": "steps a/*",
        "skill:verify": "steps skill:verify",
        "tag:money": "steps tag:money",
    }
    settings = replace(ONLY_SUCCESS, steps=tuple(chosen), success=False)
    assert [it.name for it in judge(base, base, settings).judged] == list(chosen.values())
    each = judge(base, base, replace(settings, steps=("each:skill:verify",))).judged
    assert [it.name for it in each] == ["step a/golden#ask", "step b/golden#ask"]
    for selector, said in (
        ("pai", "no step 'pai' (did you mean 'pay'?)"),
        ("skill:verity", "no step has the skill 'verity' (did you mean 'verify'?)"),
        ("tag:honey", "no step has the tag 'honey' (did you mean 'money'?)"),
    ):
        with pytest.raises(UsageError) as raised:
            judge(base, base, replace(settings, steps=(selector,)))
        assert said in str(raised.value)


def test_a_tag_of_a_detour_or_of_a_step_selects_these_alone():
    grades = np.ones((50, 2), dtype=np.int8)
    cells = [played(grades, scenario="a", variant=it, steps=("ask", "pay")) for it in ("golden", "poem")]
    base = replace(record(*cells), tags={"a": ("shop",), "a/poem": ("safety",), "a#pay": ("money",)})
    named = {}
    for tag in ("shop", "safety", "money"):
        settings = replace(ONLY_SUCCESS, steps=(f"each:tag:{tag}",), success=False, safety={f"tag:{tag}": 0.5})
        found = judge(base, base, settings)
        named[tag] = [it.name.removeprefix("step ") for it in found.judged if it.name.startswith("step ")]
        assert f"safety tag:{tag}" in {it.name for it in found.judged}
    assert named == {
        "shop": ["a/golden#ask", "a/golden#pay", "a/poem#ask", "a/poem#pay"],
        "safety": ["a/poem#ask", "a/poem#pay"],
        "money": ["a/golden#pay", "a/poem#pay"],
    }


def test_everything_that_can_be_gated_on_at_once():
    world = World(scenarios=2, trials=400, drop=0.3)
    base, candidate = versions(world, np.random.default_rng(1))
    rng = np.random.default_rng(2)

    def spending(it):
        amounts = [{name: rng.gamma(9, 1, cell.valid) for name in ("costs", "seconds")} for cell in it.cells]
        return replace(it, cells=tuple(replace(cell, **mine) for cell, mine in zip(it.cells, amounts, strict=True)))

    base, candidate = spending(base), spending(candidate)
    everything = GateSettings(
        steps=("s0",), pass_k=(2, 3), cost=True, seconds=True, safety={"s1": 0.5}, off_path=True
    )  # fmt: skip
    verdict = judge(base, candidate, everything)
    outcomes = {it.name: it.outcome for it in verdict.judged}
    assert outcomes.pop("off-path compounded accuracy") is Outcome.NOT_JUDGED  # only golden variants were played
    assert outcomes.pop("safety s1") is Outcome.PASS
    assert set(outcomes.values()) == {Outcome.FAIL}
    assert set(outcomes) == {
        *("compounded accuracy", "observed success", "pass^2", "pass^3"),
        *("cost per success", "time per success", "steps s0"),
    }
    document = verdict.document()
    assert document["exit_code"] == 1
    json.dumps(document, allow_nan=False)


def test_the_worst_criterion_makes_the_verdict():
    def judged(outcome, blocking=True):
        return Judged("x", outcome, blocking, "", None, None, None, None, None, None)

    order = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.NOT_JUDGED, Outcome.FAIL]
    for worst in range(1, 5):
        assert overall([judged(it) for it in order[:worst]]) is order[worst - 1]
    assert overall([judged(Outcome.PASS), judged(Outcome.FAIL, blocking=False)]) is Outcome.PASS
    assert overall([]) is Outcome.NOT_JUDGED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"alpha": 5}, "alpha: found 5, expected a number between 0 and 1"),
        ({"min_effect": -0.01}, "min_effect: found -0.01"),
        ({"min_effect": 0.2}, "min_effect 0.2 exceeds margin 0.1"),
        ({"safety": {"s0": 5}}, "safety 's0': found 5, expected a failure rate"),
        ({"pass_k": (1,)}, "found k = 1, expected 2 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, said):
    with pytest.raises(UsageError) as raised:
        GateSettings(**change)
    assert said in str(raised.value)


@settings(deadline=None, max_examples=30)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_any_records_at_all_give_a_verdict_that_can_be_written(data, seed):
    codes = st.sampled_from([1, 1, 1, 0, NOT_REACHED, UNGRADED])

    def side(agent):
        cells = []
        for variant in ("golden", "poem"):
            n = data.draw(st.integers(0, 6))
            grades = data.draw(st.lists(st.lists(codes, min_size=2, max_size=2), min_size=n, max_size=n))
            success = data.draw(st.lists(st.sampled_from([1, 0, UNGRADED]), min_size=n, max_size=n))
            keys = data.draw(
                st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=n, max_size=n, unique=True)
            )
            values = np.array(grades, dtype=np.int8).reshape(n, 2)
            cells.append(
                played(values, success, variant=variant, instances=[k[0] for k in keys], repeats=[k[1] for k in keys])
            )
        return record(*cells, agent=agent, deterministic=data.draw(st.booleans()))

    settings = GateSettings(steps=("each:*",), pass_k=(2,), cost=True, safety={"s0": 0.1}, seed=seed)
    verdict = judge(side("v1"), side("v2"), settings, permutations=99)
    text = json.dumps(verdict.document(), allow_nan=False)
    assert verdict.reasons
    for it in verdict.judged:
        if it.difference is not None and it.difference.estimate is not None:
            assert it.difference.low < it.difference.high
            assert it.difference.low - 1e-9 <= it.difference.estimate <= it.difference.high + 1e-9
            assert math.isfinite(it.difference.error)
    assert verdict.outcome.value in text
