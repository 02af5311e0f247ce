"""The certificate: what promotes, what refuses, what is left open, and that its numbers are the gate's."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from agentkit.errors import ExitCode, UsageError
from agentkit.gate import GateSettings, Outcome, judge
from agentkit.gate.settings import select
from agentkit.tune.certificate import Certificate, CertificateSettings, Promotion, certify, stopped
from agentkit.tune.general import GENERAL_PROMPTS, General, GeneralAnswer, compare_general
from agentkit.tune.paired import compare, pairs_of, step_members
from tests.gate.gate_records import played, record
from tests.tune.proof_records import FIRST_INSTANCE, Plays, before_and_after, recorded_plays

HASHES = {"data": "d1", "rewards": "r1", "base": "b1", "adapter": "a1"}
LENIENT = CertificateSettings(ask_general=False)


def general(lost: int = 0) -> General:
    said = [GeneralAnswer(it.id, "yes", True) for it in GENERAL_PROMPTS]
    after = [replace(it, passed=n >= lost) for n, it in enumerate(said)]
    return compare_general(said, after)


def proved(settings: CertificateSettings = LENIENT, **after: float) -> Certificate:
    return certify("refund", *before_and_after(**after), hashes=HASHES, settings=settings)


def test_a_gain_that_costs_nothing_is_promoted():
    it = certify("refund", *before_and_after(refund=0.8), general=general(), hashes=HASHES)
    assert (it.verdict, it.verdict.exit_code) == (Promotion.PROMOTE, ExitCode.PASS)
    assert it.sentence.startswith("promote: step refund 36 % → 72 %, 36 points higher (95 % interval: 27 to 46 points")
    assert it.sentence.endswith("100 held-out instances); nothing else lost 10 points or more")
    assert it.reasons == ()
    assert it.end_to_end["compounded"].compared.after > it.end_to_end["compounded"].compared.before


def test_the_document_has_the_keys_that_readers_rely_on():
    document = json.loads(json.dumps(proved(refund=0.8).document(), allow_nan=False))
    assert {"verdict", "target", "end_to_end", "others", "general", "hashes", "schema", "sentence"} <= set(document)
    assert document["verdict"] == "promote"
    assert document["target"]["step"] == "refund"
    assert document["target"]["held_out"] == 100
    assert document["target"]["difference"]["low"] < document["target"]["difference"]["estimate"]
    assert set(document["end_to_end"]) == {"success", "compounded", "golden", "off_path"}
    assert {it["step"] for it in document["others"]} >= {"shop/refund#find_sale", "shop/refund#say_amount"}
    assert document["hashes"] == HASHES


def test_a_gain_that_made_another_step_worse_is_refused():
    it = proved(refund=0.8, say_amount=0.5)
    assert (it.verdict, it.verdict.exit_code) == (Promotion.REFUSE, ExitCode.FAIL)
    assert it.reasons[0].startswith("shop/refund#say_amount 76 % → 47 %, 29 points lower")
    worse = [other.name for other in it.others if other.outcome is Outcome.FAIL]
    assert worse == ["shop/refund#say_amount"]


def test_a_worse_target_is_refused():
    it = proved(refund=0.1)
    assert it.verdict is Promotion.REFUSE
    assert it.sentence.startswith("refuse: the target got worse: step refund 36 % →")


def test_no_difference_is_inconclusive_and_never_a_promotion():
    it = proved()
    assert (it.verdict, it.verdict.exit_code) == (Promotion.INCONCLUSIVE, ExitCode.INCONCLUSIVE)
    assert it.sentence.startswith("inconclusive: no gain is shown at the target: step refund 36 % → 36 %")


def test_a_gain_below_the_one_asked_for_is_inconclusive():
    it = proved(CertificateSettings(ask_general=False, min_gain=0.5), refund=0.8)
    assert it.verdict is Promotion.INCONCLUSIVE
    assert "gained less than the 50 points asked for" in it.sentence


def test_without_general_prompts_nothing_is_promoted_unless_that_is_allowed():
    it = proved(CertificateSettings(), refund=0.8)
    assert it.verdict is Promotion.INCONCLUSIVE
    assert it.reasons == ("the general prompts were not asked, so what was forgotten is not known",)


def test_a_model_that_forgot_is_refused_and_what_it_forgot_is_named():
    kept = certify("refund", *before_and_after(refund=0.8), general=general(3), hashes=HASHES)
    assert kept.verdict is Promotion.PROMOTE
    assert kept.document()["general"]["difference"]["estimate"] == pytest.approx(-0.15)
    lost = certify("refund", *before_and_after(refund=0.8), general=general(4), hashes=HASHES)
    assert lost.verdict is Promotion.REFUSE
    assert "a net loss of 20 points, more than the 15 points allowed (lost: add, subtract," in lost.sentence


def test_the_target_is_the_gates_number_and_variants_of_one_instance_are_no_independent_pairs():
    before, after = before_and_after(refund=0.8)
    it = certify("refund", before, after, hashes=HASHES, settings=LENIENT)
    gate = judge(before, after, GateSettings(steps=("refund",), success=False, compounded=False)).judged[0].difference
    ours = it.target.difference
    assert (ours.base, ours.candidate, ours.estimate) == pytest.approx((gate.base, gate.candidate, gate.estimate))
    assert (it.target.pairs, it.target.instances) == (300, 100)
    assert it.target.design_effect == pytest.approx(3.0)  # three variants that always agree
    assert ours.high - ours.low > 1.5 * (gate.high - gate.low)


def test_variants_that_have_nothing_in_common_are_worth_all_their_pairs():
    rng = np.random.default_rng(5)

    def side(agent, p):
        variants = ("golden", "a", "b", "c")
        return record(*(played(rng.random((200, 1)) < p, variant=name) for name in variants), agent=agent)

    it = certify("s0", side("base", 0.4), side("tuned", 0.6), hashes={}, settings=LENIENT)
    assert it.target.design_effect == pytest.approx(1.0, abs=0.25)


def test_rare_steps_are_pooled_by_skill_and_alone_block_only_where_shown_to_be_worse():
    few = Plays({"refund": 0.8}, detours=25)
    it = certify("refund", recorded_plays("base", Plays(detours=25)), recorded_plays("tuned", few), hashes={},
                 settings=CertificateSettings(ask_general=False))  # fmt: skip
    assert it.verdict is Promotion.INCONCLUSIVE
    assert "too few pairs to say that no other step was made worse: shop/refund#card_only (25)" in it.sentence
    thin = {other.name for other in it.others if other.thin}
    assert thin == {"shop/refund#no_poem", "shop/refund#card_only"}
    assert all(other.document()["outcome"] == "not_enough_pairs" for other in it.others if other.thin)
    allowed = CertificateSettings(ask_general=False, allow_thin=True)
    sides = recorded_plays("base", Plays(detours=25)), recorded_plays("tuned", few)
    assert certify("refund", *sides, hashes={}, settings=allowed).verdict is Promotion.PROMOTE
    broken = recorded_plays("tuned", replace(few, accuracy={"refund": 0.8, "card_only": 0.0}))
    refused = certify("refund", sides[0], broken, hashes={}, settings=allowed)
    assert refused.verdict is Promotion.REFUSE
    assert refused.reasons[0].startswith("shop/refund#card_only")


def test_rare_steps_that_together_have_enough_pairs_are_judged_together():
    sides = recorded_plays("base", Plays(detours=60)), recorded_plays("tuned", Plays({"refund": 0.8}, detours=60))
    it = certify("refund", *sides, hashes={}, settings=LENIENT)
    pool = next(other for other in it.others if other.pooled)
    assert pool.name == "rare steps left over"
    assert (pool.compared.pairs, pool.compared.instances) == (120, 60)
    assert {other.judged_in for other in it.others if other.thin} == {"rare steps left over"}
    assert it.verdict is Promotion.PROMOTE


def test_each_step_says_what_power_its_pairs_have():
    it = proved(refund=0.8)
    found = next(other for other in it.others if other.name == "shop/refund#no_poem")
    assert found.power == pytest.approx(1.0, abs=1e-3)  # one discordant pair of 100
    noisy = recorded_plays("tuned", Plays({"refund": 0.8}, noise=0.5))
    it = certify("refund", recorded_plays("base", Plays(noise=0.5)), noisy, hashes={}, settings=LENIENT)
    found = next(other for other in it.others if other.name == "shop/refund#no_poem")
    assert 0.3 < found.power < 0.75


def test_runs_that_did_not_play_the_same_instances_are_refused_as_input():
    before, after = before_and_after(refund=0.8)
    moved = replace(after, cells=tuple(replace(cell, instances=cell.instances + 5_000) for cell in after.cells))
    with pytest.raises(UsageError, match="did not play the same instances of shop/refund/cash"):
        certify("refund", before, moved, hashes={})
    with pytest.raises(UsageError, match="cannot be compared with itself"):
        certify("refund", before, before, hashes={})
    with pytest.raises(UsageError, match=r"no step 'refnd' \(did you mean 'refund'\?\)"):
        certify("refnd", before, after, hashes={})


def test_an_instance_that_was_seen_in_training_is_an_error():
    with pytest.raises(UsageError, match=f"instance {FIRST_INSTANCE} and 1 others were seen in training"):
        certify("refund", *before_and_after(refund=0.8), hashes={}, seen={FIRST_INSTANCE, FIRST_INSTANCE + 3, 7})


def test_what_makes_the_comparison_impossible_comes_before_everything():
    before, after = before_and_after(refund=0.8)
    changed = replace(after, scenarios={"shop/refund": "other"})
    it = certify("refund", before, changed, hashes={}, settings=LENIENT)
    assert it.verdict is Promotion.INCONCLUSIVE
    assert "changed since the baseline was written: shop/refund" in it.sentence
    same = certify("refund", before, replace(after, agent_hash=before.agent_hash), hashes={}, settings=LENIENT)
    assert same.verdict is Promotion.INCONCLUSIVE
    assert "both runs played the same agent" in same.sentence


def test_a_stopped_job_has_a_certificate_too():
    it = stopped("refund", ["the empty answer scores 0.9 of the golden one"], hashes=HASHES)
    assert (it.verdict, int(it.verdict.exit_code)) == (Promotion.STOPPED, 3)
    document = json.loads(json.dumps(it.document(), allow_nan=False))
    assert document["verdict"] == "stopped"
    assert document["target"] == {
        "step": "refund", "before": None, "after": None, "difference": None, "held_out": 0, "steps": []
    }  # fmt: skip
    with pytest.raises(UsageError, match="says why"):
        stopped("refund", [], hashes={})


def test_settings_that_make_no_sense_are_refused():
    for wrong in ({"margin": 1.5}, {"min_gain": -0.1}, {"general_margin": 2.0}, {"min_pairs": 0}):
        with pytest.raises(UsageError):
            CertificateSettings(**wrong)


def test_the_same_runs_give_the_same_document():
    sides = before_and_after(refund=0.8)
    one, two = (certify("refund", *sides, hashes=HASHES, settings=LENIENT).document() for _ in range(2))
    assert json.dumps(one) == json.dumps(two)


def test_pairs_are_those_that_both_runs_played():
    before, after = before_and_after(refund=0.8)
    assert all(cell.paired for cell in pairs_of(before, after))


@pytest.mark.slow
def test_equal_agents_show_a_gain_no_more_often_than_the_interval_allows():
    """Variants that largely agree: were they taken for independent pairs, 7 to 10 % would be promoted."""
    promoted = refused = 0
    for seed in range(600):
        rng = np.random.default_rng(seed)
        cells = pairs_of(*(_alike(agent, rng) for agent in ("base", "tuned")))
        found = compare("s0", step_members(cells, select(cells, "s0")), seed=0, level=0.95).difference
        promoted, refused = promoted + (found.low > 0), refused + (found.high < 0)
    assert 3 <= promoted <= 25  # 2.5 % of 600 is 15; either side has less than 1 % beyond these
    assert 3 <= refused <= 25


def _alike(agent: str, rng: np.random.Generator):
    """Four variants whose results agree with the instance's nine times in ten."""
    whole = rng.random(60) < 0.5
    variants = ("golden", "a", "b", "c")
    drawn = [np.where(rng.random(60) < 0.9, whole, rng.random(60) < 0.5) for _ in variants]
    return record(*(played(it[:, None], variant=name) for name, it in zip(variants, drawn, strict=True)), agent=agent)
