"""What a proof will be able to show, before anything is spent on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.errors import UsageError
from agentkit.gate import non_inferiority_power
from agentkit.scenario import Loaded, load
from agentkit.tune.prove import plan_proof

SHIPPED = Path(__file__).parents[2] / "scenarios" / "point_of_sale"


@pytest.fixture(scope="module")
def refund() -> list[Loaded]:
    return list(load([SHIPPED / "refund.yaml"]))


def test_pairs_are_counted_over_the_variants_in_which_a_step_is_due(refund: list[Loaded]):
    plan = plan_proof(refund, "refund", 100)
    (target,) = plan.target
    assert target.variants == ("golden", "french_poem", "wrong_number", "cash_instead")  # an exchange has no refund
    assert (target.pairs, plan.conversations) == (400, 1_000)
    assert target.effective == pytest.approx(400 / (1 + 3 * 0.5))
    no_poem = next(it for it in plan.others if it.step == "no_poem")
    assert no_poem.pairs == 100
    assert no_poem.power == pytest.approx(non_inferiority_power(100, discordance=0.1, margin=0.1))
    assert no_poem.power == pytest.approx(0.935, abs=0.001)
    assert plan.rare == ()


def test_the_power_is_said_before_a_verdict_is_asked_for(refund: list[Loaded]):
    said = plan_proof(refund, "refund", 25, variants={"point_of_sale/refund": ["golden", "french_poem"]}).sentences()
    assert said[0] == "25 held-out instances, before and after: 100 conversations"
    assert "at the target is found with a chance of 80 %" in said[1]
    assert any("with fewer pairs, pooled by skill" in it and "find_sale (50)" in it for it in said)
    enough = plan_proof(refund, "skill:refund", 100)
    assert "ruled out with a chance of 93.5 % each or better" in enough.sentences()[2]
    assert {it.step for it in enough.target} == {"refund", "item_refunded"}
    json.dumps(enough.document(), allow_nan=False)


def test_each_variant_may_have_a_number_of_its_own(refund: list[Loaded]):
    counts = {"point_of_sale/refund/golden": 100, "point_of_sale/refund/french_poem": 20}
    plan = plan_proof(refund, "refund", counts)
    assert (plan.conversations, plan.target[0].pairs) == (240, 120)
    assert plan.target[0].effective == pytest.approx(120 / (1 + 0.2 * 0.5))
    assert {it.step: it.pairs for it in plan.rare}["no_poem"] == 20
    with pytest.raises(UsageError, match="did you mean 'point_of_sale/refund/golden'"):
        plan_proof(refund, "refund", {"point_of_sale/refund/goldn": 3})


def test_more_instances_show_smaller_gains(refund: list[Loaded]):
    gains = [plan_proof(refund, "refund", n, base=0.4).gain for n in (25, 100, 400)]
    assert gains == sorted(gains, reverse=True)
    assert plan_proof(refund, "refund", 1, base=0.9).gain is None


def test_a_target_that_is_not_played_is_an_error_with_a_near_match(refund: list[Loaded]):
    with pytest.raises(UsageError, match=r"no step 'refnd' in what is played \(did you mean 'refund'\?\)"):
        plan_proof(refund, "refnd", 10)
    with pytest.raises(UsageError, match="held-out instances: found 0"):
        plan_proof(refund, "refund", 0)
