"""The judge of a canary: what counts, what does not, and how often it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from agentkit.config.serving import CanarySettings
from agentkit.measure import clopper_pearson
from agentkit.records import Arm, ConversationId, FeedbackKind, ResponseId, Source, Target, TargetKind
from agentkit.serve.canary import CanaryVerdict, Watched, judge
from agentkit.serve.canary.blocks import Outcome, blocks_of, sizes
from agentkit.serve.canary.outcomes import graded, graded_at
from agentkit.store import SeenExchange, SeenLabel
from tests.bench.canary import World, many

WATCHED = Watched("till", "refund", Target(TargetKind.ADAPTER, "a"), "2025-01-01T00:00:00.000+00:00", {2: 0.5})

NOON, BEFORE = "2025-01-01T12:00:00.000+00:00", "2025-01-01T11:59:59.999+00:00"


def seen(row: int, arm: Arm, conversation: str = "", **changes: object) -> SeenExchange:
    values: dict[str, object] = {
        "id": ResponseId(f"r{row}"),
        "at": NOON,
        "conversation": ConversationId(conversation or f"c{row}"),
        "revision": 2,
        "arm": arm,
        "agent": "till",
        "step": "refund",
        "status": 200,
        "error": None,
        "latency": 0.5,
    }
    return SeenExchange(**values | changes)  # type: ignore[arg-type]


def label(of: SeenExchange, value: float | None, **changes: object) -> SeenLabel:
    values: dict[str, object] = {
        "at": NOON,
        "conversation": of.conversation,
        "response": of.id,
        "step": "",
        "source": Source.USER,
        "by": "shop",
        "kind": FeedbackKind.THUMB,
        "value": value,
    }
    return SeenLabel(**values | changes)  # type: ignore[arg-type]


def laid(step: str, rule: str) -> dict[str, object]:
    """Of blame of a whole conversation: on which step it was laid, and by which rule."""
    return {"response": None, "step": step, "details": {"blame": {"rule": rule}}}


def traffic(number: int, **changes: object) -> list[SeenExchange]:
    return [seen(row, Arm.CANARY if row % 2 else Arm.LIVE, **changes) for row in range(number)]  # type: ignore[arg-type]


def judged(exchanges: Sequence[SeenExchange], good: dict[Arm, float], seed: int = 0) -> list[SeenLabel]:
    rng = np.random.default_rng(seed)
    return [label(it, float(rng.random() < good[it.arm])) for it in exchanges]


def test_a_worse_canary_is_thrown_out() -> None:
    exchanges = traffic(400)
    found = judge(WATCHED, exchanges, judged(exchanges, {Arm.LIVE: 0.9, Arm.CANARY: 0.65}))
    assert found.verdict is CanaryVerdict.ROLL_BACK
    assert found.feedback.alarm
    assert found.feedback.e_value > found.feedback.needed == pytest.approx(1 / 0.03)
    assert found.feedback.high < 0
    assert "conversations judged good" in found.sentence
    assert [it.alarm for it in found.criteria] == [True, False, False]


def test_a_step_that_an_adapter_made_worse_is_found_where_the_whole_conversation_hides_it() -> None:
    exchanges, rng = traffic(320, step=""), np.random.default_rng(0)
    labels = []
    for it in exchanges:
        refund, others = rng.random() < (0.95 if it.arm is Arm.LIVE else 0.7), rng.random() < 0.5
        labels.append(label(it, float(refund and others)))
        labels.append(label(it, float(refund), response=None, step="refund"))
    wide = replace(WATCHED, step="*")
    assert judge(wide, exchanges, labels).verdict is CanaryVerdict.GOING
    found = judge(replace(wide, repairs="refund"), exchanges, labels)
    assert found.verdict is CanaryVerdict.ROLL_BACK
    assert [(it.name, it.of, it.alarm) for it in found.criteria] == [
        ("feedback", "", False),
        ("step", "refund", True),
        ("errors", "", False),
        ("latency", "", False),
    ]
    assert found.sentence.startswith("roll back: refund judged good: ")
    assert (found.criteria[1].canary.known, found.criteria[1].live.known) == (160, 160)


@pytest.mark.parametrize("repairs", ["", "refund"])
def test_alarms_share_alpha(repairs: str) -> None:
    found = judge(replace(WATCHED, step="*", repairs=repairs), (), ())
    assert sum(1 / it.needed for it in found.criteria) == pytest.approx(CanarySettings().alpha)


def test_what_is_said_of_the_step() -> None:
    there, other = seen(1, Arm.CANARY, "a", step="refund"), seen(2, Arm.CANARY, "a", step="greet")
    strange = seen(9, Arm.LIVE, "z", step="refund")

    def found(*labels: SeenLabel) -> list[bool]:
        return [it.good for it in graded_at("refund", [there, other], labels).first]

    assert found(label(there, 0)) == [False], "of its response"
    assert found(label(there, 1, response=None, step="refund")) == [True]
    assert found(label(there, None, kind=FeedbackKind.CORRECTION)) == [False]
    assert found(label(other, 0)) == [], "of another response"
    assert found(label(there, 0, response="elsewhere", step="refund")) == [], "answered before the canary was there"
    assert found(label(there, 0, response=None, step="refund", at=BEFORE)) == []
    assert found(label(there, 0, response=None, step="greet")) == []
    assert found(label(there, 0, response=None)) == [], "of the whole conversation"
    for rule in ("judged", "last"):
        assert found(label(there, 0, **laid("refund", rule))) == [], "of the whole, whose praise is no step's either"
    assert found(label(strange, 0)) == []


def test_a_better_canary_is_clean_once_enough_was_judged() -> None:
    exchanges = traffic(400)
    labels = judged(exchanges, {Arm.LIVE: 0.6, Arm.CANARY: 0.9})
    assert judge(WATCHED, exchanges, labels).verdict is CanaryVerdict.CLEAN
    few = judge(WATCHED, exchanges, labels[:99])
    assert few.no_worse > few.no_worse_needed
    assert few.verdict is CanaryVerdict.GOING
    assert few.reasons == ("to be clean it needs 1 more judged conversations of the canary",)


def test_the_absence_of_an_alarm_is_no_evidence() -> None:
    exchanges = traffic(2_000)
    found = judge(WATCHED, exchanges, ())
    assert found.verdict is CanaryVerdict.GOING
    assert (
        "50 more judged conversations of the canary and 50 more judged conversations of the live arm" in found.sentence
    )
    alike = judge(WATCHED, exchanges[:120], judged(exchanges[:120], {Arm.LIVE: 0.7, Arm.CANARY: 0.7}))
    assert (alike.verdict, alike.feedback.alarm) == (CanaryVerdict.GOING, False)
    assert "evidence against a drop of 8 points" in alike.sentence


def test_a_small_drop_never_counts_however_sure_it_is() -> None:
    exchanges = traffic(400)
    labels = judged(exchanges, {Arm.LIVE: 0.9, Arm.CANARY: 0.65})
    found = judge(WATCHED, exchanges, labels, CanarySettings(min_drop=0.5))
    assert found.feedback.e_value > found.feedback.needed
    assert found.verdict is CanaryVerdict.GOING


def test_errors_throw_a_canary_out_without_any_judgement() -> None:
    exchanges = [
        replace(it, status=503) if it.arm is Arm.CANARY and row % 5 == 0 else it for row, it in enumerate(traffic(300))
    ]
    found = judge(WATCHED, exchanges, ())
    assert (found.verdict, [it.alarm for it in found.criteria]) == (CanaryVerdict.ROLL_BACK, [False, True, False])
    assert "requests answered: 120 of 150 beside 150 of 150, 20 points worse" in found.sentence


def test_what_callers_do_wrong_is_nobodys_error() -> None:
    exchanges = [replace(it, status=422) if it.arm is Arm.CANARY else it for it in traffic(300)]
    found = judge(WATCHED, exchanges, ())
    assert (found.criteria[1].canary.known, found.criteria[1].live.known) == (0, 150)
    assert found.verdict is CanaryVerdict.GOING


def test_a_canary_that_has_no_room_is_thrown_out() -> None:
    exchanges = [replace(it, status=429) if it.arm is Arm.CANARY else it for it in traffic(300)]
    found = judge(WATCHED, exchanges, ())
    assert (found.verdict, [it.alarm for it in found.criteria]) == (CanaryVerdict.ROLL_BACK, [False, True, False])
    assert "requests answered: 0 of 150 beside 150 of 150" in found.sentence


def hung_up(it: SeenExchange, after: float) -> SeenExchange:
    return replace(it, status=499, error="the caller hung up", latency=after)


def test_a_canary_that_hangs_until_its_callers_give_up_is_thrown_out() -> None:
    exchanges = [hung_up(it, 30.0) if it.arm is Arm.CANARY else it for it in traffic(300)]
    found = judge(WATCHED, exchanges, ())
    assert (found.verdict, [it.alarm for it in found.criteria]) == (CanaryVerdict.ROLL_BACK, [False, False, True])
    assert "requests quick enough: 0 of " in found.sentence
    assert found.criteria[1].canary.known == 0, "nobody knows whether they would have been answered"


def test_who_hangs_up_soon_says_nothing_of_how_quick_answers_are() -> None:
    exchanges = [
        hung_up(it, 0.4) if it.arm is Arm.CANARY and row % 4 == 1 else it for row, it in enumerate(traffic(300))
    ]
    found = judge(WATCHED, exchanges, (), CanarySettings(slow_seconds=0.6))
    assert (found.criteria[2].canary.good, found.criteria[2].canary.known) == (75, 75)
    assert found.verdict is CanaryVerdict.GOING


def test_a_stream_that_broke_is_an_error() -> None:
    exchanges = [
        replace(it, error="broke off") if it.arm is Arm.CANARY and row % 3 == 0 else it
        for row, it in enumerate(traffic(300))
    ]
    assert judge(WATCHED, exchanges, ()).verdict is CanaryVerdict.ROLL_BACK


def test_a_slow_canary_is_thrown_out_by_a_limit_from_the_live_arm() -> None:
    exchanges = [replace(it, latency=3.0 if it.arm is Arm.CANARY else 1.0) for it in traffic(300)]
    found = judge(WATCHED, exchanges, ())
    assert (found.verdict, found.criteria[2].alarm) == (CanaryVerdict.ROLL_BACK, True)
    assert found.criteria[2].limit == pytest.approx(2.0)
    assert found.criteria[2].live.known == 100, "the first 50 made the limit"
    tolerant = judge(WATCHED, exchanges, (), CanarySettings(slow_factor=4))
    assert tolerant.verdict is CanaryVerdict.GOING
    fixed = judge(WATCHED, exchanges, (), CanarySettings(slow_seconds=2.5))
    assert (fixed.criteria[2].limit, fixed.criteria[2].live.known) == (2.5, 150)


def test_which_judgements_count() -> None:
    here, other = seen(1, Arm.CANARY, "a"), seen(2, Arm.LIVE, "b")
    exchanges = [here, other, seen(3, Arm.CANARY, "a")]
    strange = seen(9, Arm.LIVE, "z")

    def found(*labels: SeenLabel) -> list[tuple[Arm, bool]]:
        return [(it.arm, it.good) for it in graded(exchanges, labels).now]

    canary_bad = [(Arm.CANARY, False)]
    assert found(label(here, 0)) == canary_bad
    assert found(label(here, 0, response=None)) == canary_bad, "of the whole conversation"
    assert found(label(here, 0, response=None, step="refund")) == canary_bad
    assert found(label(here, None, kind=FeedbackKind.CORRECTION)) == canary_bad
    assert found(label(here, None, kind=FeedbackKind.COMMENT)) == []
    assert found(label(here, 0, response=None, step="greet")) == [], "of another step, by its name"
    for step in ("greet", "refund"):
        for rule in ("judged", "last"):
            assert found(label(here, 0, **laid(step, rule))) == canary_bad, "of the whole, as praise would be"
    assert found(label(here, 0, response="elsewhere")) == []
    assert found(label(here, 0, response="elsewhere", step="refund")) == [], "answered before the canary was there"
    for name in ("refund", ""):
        assert found(label(here, 0, response=None, step=name, at=BEFORE)) == [], "said before it was there"
    assert found(label(here, 0, at=BEFORE)) == canary_bad, "clocks differ, and it names the response"
    assert found(label(strange, 0)) == []
    assert found(label(here, 0.6, kind=FeedbackKind.SCORE)) == [(Arm.CANARY, True)]
    whole, step = label(here, 1, response=None), label(here, 0)
    assert found(whole, step) == canary_bad, "who judged the step knows better"
    blame, praise = label(here, 0, **laid("refund", "last")), label(here, 1, by="else")
    assert found(praise, blame) == [(Arm.CANARY, True)], "than who blamed the whole"
    assert found(label(here, 1), label(here, 0)) == canary_bad, "the last word of one and the same"
    expert = label(here, 1, source=Source.EXPERT, by="ada")
    assert found(label(here, 0), expert, label(here, 0, by="else")) == [(Arm.CANARY, True)]


def test_later_judgements_change_the_rates_and_never_the_evidence() -> None:
    exchanges = traffic(200)
    labels = judged(exchanges, {Arm.LIVE: 0.9, Arm.CANARY: 0.6})
    before = judge(WATCHED, exchanges, labels)
    turned = [label(it, 1.0) for it in exchanges]
    after = judge(WATCHED, exchanges, [*labels, *turned])
    assert after.feedback.e_value == before.feedback.e_value
    assert (after.feedback.canary.rate, after.feedback.difference) == (1.0, 0.0)
    assert not after.feedback.alarm, "a drop that is none any more does not count"


def test_evidence_only_grows_with_what_comes_in() -> None:
    exchanges = traffic(300)
    labels = judged(exchanges, {Arm.LIVE: 0.9, Arm.CANARY: 0.7})
    values = [judge(WATCHED, exchanges, labels[:n]).feedback.e_value for n in range(0, 300, 60)]
    assert all(one <= other for one, other in pairwise(values))


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.1, (8, 1)), (0.3, (2, 1)), (0.5, (1, 1)), (0.7, (1, 2)), (0.9, (1, 8)), (0.01, (19, 1)), (0.99, (1, 19))],
)
def test_blocks_respect_the_share(share: float, expected: tuple[int, int]) -> None:
    assert sizes(share) == expected


def test_blocks_are_of_one_revision_and_of_one_time() -> None:
    old = [Outcome(1, Arm.LIVE, False)] * 100
    outcomes = [*old, *[Outcome(1, Arm.LIVE, True)] * 24, Outcome(2, Arm.CANARY, True), Outcome(1, Arm.CANARY, True)]
    found = blocks_of(outcomes, {1: 0.1, 2: 0.1})
    assert (len(found), found.base.tolist(), found.base_passed.tolist()) == (1, [8], [8]), "the old ones are left out"


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_false_alarms_are_as_rare_as_promised_and_real_ones_come(share: float) -> None:
    """Late thumbs, of which one in ten is wrong. The table is made by tests/bench/canary.py."""
    alike = [it.alarm for it in many(World(share, drift=0.2), 60, 1_500)]
    rate = sum(it is not None for it in alike)
    assert clopper_pearson(rate, len(alike))[0] <= 0.6 * CanarySettings().alpha
    worse = many(World(share, drop=0.3), 20, 2_500)
    assert sum(it.alarm is not None for it in worse) >= 17
    assert all(it.clean is None for it in worse)
