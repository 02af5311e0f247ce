"""Several adapters at once: each keeps what it gained alone, or it is said which one does not."""

from __future__ import annotations

import json

import pytest

from agentkit.errors import UsageError
from agentkit.tune.certificate import Promotion
from agentkit.tune.together import Single, together
from tests.tune.proof_records import Plays, recorded_plays

REFUND = Single("refund-v1", "refund", recorded_plays("refund-v1", Plays({"refund": 0.8})))
AMOUNT = Single("amount-v1", "say_amount", recorded_plays("amount-v1", Plays({"say_amount": 0.95})))


def test_adapters_that_leave_each_other_alone_pass_together():
    joint = recorded_plays("both", Plays({"refund": 0.8, "say_amount": 0.95}))
    it = together([REFUND, AMOUNT], joint)
    assert it.verdict is Promotion.PROMOTE
    assert it.sentence == "promote: refund-v1 and amount-v1 keep together what each gained alone"
    assert [(one.adapter, one.name) for one in it.steps] == [("refund-v1", "refund"), ("amount-v1", "say_amount")]
    assert len(it.success) == 2
    json.dumps(it.document(), allow_nan=False)


def test_an_adapter_that_spoils_the_other_ones_step_is_found():
    joint = recorded_plays("both", Plays({"refund": 0.45, "say_amount": 0.95}))
    it = together([REFUND, AMOUNT], joint)
    assert it.verdict is Promotion.REFUSE
    assert "step refund beside the other adapters of refund-v1" in it.sentence
    assert {one.adapter: one.judged.outcome.value for one in it.steps} == {"refund-v1": "fail", "amount-v1": "pass"}


def test_too_few_pairs_leave_it_open():
    few = Plays({"refund": 0.8}, instances=5, detours=5)
    singles = [Single(name, "refund", recorded_plays(name, few)) for name in ("a", "b")]
    assert together(singles, recorded_plays("both", few)).verdict is Promotion.INCONCLUSIVE


def test_one_adapter_is_not_several():
    joint = recorded_plays("both", Plays())
    for singles in ([], [REFUND], [REFUND, REFUND]):
        with pytest.raises(UsageError, match="expected two or more, each once"):
            together(singles, joint)
