"""What production says of an agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agentkit.collect.feedback.accept import accept
from agentkit.loop.production import Production, _compounded, production
from agentkit.records import Arm, ConversationId, Feedback, FeedbackKind, ResponseId, Source, Target, TargetKind
from agentkit.store import Store
from tests.collect.captured import make_exchange

BASE, ADAPTER = Target(TargetKind.BASE), Target(TargetKind.ADAPTER, "refund-v1-3fa9")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


def talk(store: Store, name: str, *targets: Target, agent: str = "till", **steps: bool) -> None:
    """One conversation, each step judged in words of the user."""
    store.add_exchanges(
        [
            make_exchange(f"{name}-{place}", conversation=ConversationId(name), agent=agent, target=it, arm=Arm.LIVE)
            for place, it in enumerate(targets)
        ]
    )
    for step, good in steps.items():
        say(store, name, step, good)


def say(store: Store, name: str, step: str, good: bool, source: Source = Source.USER) -> None:
    count = len(store.feedback())
    store.add_feedback(
        Feedback(
            id=f"{source}/{count}",
            at="2026-06-20T10:00:00.000+00:00",
            source=source,
            by="shop",
            kind=FeedbackKind.THUMB,
            conversation=ConversationId(name),
            response=ResponseId(f"{name}-0"),
            step=step,
            value=float(good),
        )
    )


def test_steps_compound_over_conversations(store: Store) -> None:
    for number in range(20):
        talk(store, f"c{number}", BASE, find=number < 18, refund=number < 10)
    found = production(store, "till")
    assert (found.conversations, found.judged) == (20, 20)
    assert [(it.step, it.praised, it.judged) for it in found.steps] == [("find", 18, 20), ("refund", 10, 20)]
    assert found.compounded is not None
    estimate, low, high = found.compounded
    assert estimate == pytest.approx(0.9 * 0.5)
    assert low < 0.45 < high


def test_that_everybody_praises_is_no_certainty(store: Store) -> None:
    for number in range(3):
        talk(store, f"c{number}", BASE, find=True, refund=True)
    for wrong in (0.0, 0.1):
        found = production(store, "till", wrong=wrong)
        assert found.compounded is not None
        estimate, low, high = found.compounded
        assert (estimate, high) == (1.0, 1.0)
        assert low <= min(it.low for it in found.steps) < 0.5


def test_the_product_of_one_step_is_no_surer_than_the_step(store: Store) -> None:
    for praised in (0, 3, 7, 10):
        agent = f"till-{praised}"
        for number in range(10):
            talk(store, f"{agent}-{number}", BASE, agent=agent, refund=number < praised)
        found = production(store, agent)
        [step], compounded = found.steps, found.compounded
        assert compounded is not None
        assert compounded[0] == step.estimate
        assert compounded[1] <= step.low < step.high <= compounded[2]


def test_a_rare_step_counts_in_every_draw(store: Store) -> None:
    """Most draws of whole conversations lack it; a product without it would be far too high."""
    for number in range(20):
        rare = {"refund": False} if number == 0 else {}
        talk(store, f"c{number}", BASE, find=True, **rare)
    found = production(store, "till")
    assert found.compounded is not None
    estimate, low, high = found.compounded
    assert (estimate, low) == (0.0, 0.0)
    assert 0.5 < high < 1.0


@pytest.mark.parametrize("wrong", [0.0, 0.1])
@pytest.mark.parametrize(("accuracy", "conversations"), [(1.0, 20), (0.97, 20), (0.9, 10), (0.5, 10)])
def test_the_compounded_interval_holds_the_truth(accuracy: float, conversations: int, wrong: float) -> None:
    """Three steps that hang together, the last of them rare."""
    draw, held, tries = np.random.default_rng(0), 0, 60
    for seed in range(tries):
        alone = draw.random((conversations, 3)) < 0.5
        luck = np.where(alone, draw.random((conversations, 3)), draw.random((conversations, 1)))
        praised = (luck < accuracy) ^ (draw.random((conversations, 3)) < wrong)
        judged = draw.random((conversations, 3)) < (1.0, 1.0, 0.4)
        judged[0] = True
        _, low, high = _compounded(np.where(judged, praised, -1).astype(np.int8), wrong, seed)
        held += low <= accuracy**3 <= high
    assert held >= 0.9 * tries


def test_wrong_thumbs_are_taken_out_of_the_rate(store: Store) -> None:
    for number in range(100):
        talk(store, f"c{number}", BASE, refund=number < 26)  # 20 % right, and a tenth of all thumbs turned round
    found = production(store, "till", wrong=0.1).step("refund")
    assert found is not None
    assert found.estimate == pytest.approx(0.2)
    assert found.low < 0.2 < found.high
    everything = production(store, "till", wrong=0.3).step("refund")
    assert everything is not None
    assert everything.estimate == 0.0, "a rate is never below 0"


def test_only_what_one_target_answered_alone_is_its_own(store: Store) -> None:
    talk(store, "old", BASE, BASE, refund=False)
    talk(store, "new", ADAPTER, ADAPTER, refund=True)
    talk(store, "both", BASE, ADAPTER, refund=True)
    talk(store, "elsewhere", BASE, agent="desk", refund=True)

    def of(target: Target | None) -> list[tuple[int, int]]:
        found: Production = production(store, "till", target=target)
        return [(it.praised, it.judged) for it in found.steps]

    assert of(BASE) == [(0, 1)]
    assert of(ADAPTER) == [(1, 1)]
    assert of(None) == [(2, 3)]


def test_what_is_said_of_another_agent_s_step_is_not_this_one_s(store: Store) -> None:
    """Two agents take part in a conversation; each has a step of the same name."""
    talk(store, "c", BASE)
    store.add_exchanges([make_exchange("desk-0", conversation=ConversationId("c"), agent="desk", step="find_sale")])
    store.add_exchanges([make_exchange("desk-1", conversation=ConversationId("c"), agent="desk", step="greet")])
    for response, thumb in (("c-0", "up"), ("desk-0", "down"), ("desk-1", "down")):
        accept(store, "till", {"response": response, "thumb": thumb})

    def of(agent: str) -> list[tuple[str, int, int]]:
        return [(it.step, it.praised, it.judged) for it in production(store, agent).steps]

    assert of("till") == [("find_sale", 1, 1)]
    assert of("desk") == [("find_sale", 0, 1), ("greet", 0, 1)]
    talk(store, "d", BASE)
    store.add_exchanges([make_exchange("desk-2", conversation=ConversationId("d"), agent="desk", step="greet")])
    accept(store, "till", {"response": "desk-2", "thumb": "down"})
    found = production(store, "till")
    assert (found.conversations, found.judged, found.whole) == (2, 1, 0)


def test_the_last_word_counts_and_graders_have_none(store: Store) -> None:
    talk(store, "c", BASE, refund=False)
    say(store, "c", "refund", True)
    say(store, "c", "refund", False, Source.GRADE)
    found = production(store, "till")
    assert [(it.praised, it.judged) for it in found.steps] == [(1, 1)]


def test_no_judgement_is_no_number(store: Store) -> None:
    talk(store, "c", BASE)
    found = production(store, "till")
    assert (found.conversations, found.judged, found.steps, found.compounded) == (1, 0, (), None)
    assert found.document()["compounded"] is None


def test_blame_of_a_whole_conversation_is_no_step_s_rate(store: Store) -> None:
    """The router lays it on a step; praise of a whole one is laid on none."""
    for number in range(40):
        name = f"c{number}"
        talk(store, name, BASE)
        accept(store, "till", {"conversation": name, "thumb": "down" if number < 4 else "up"})
    assert {it.step for it in store.feedback()} == {"find_sale", ""}
    found = production(store, "till")
    assert (found.judged, found.whole, found.steps) == (0, 40, ())
    accept(store, "till", {"response": "c0-0", "thumb": "up"})
    found = production(store, "till")
    assert (found.judged, found.whole) == (1, 39)
    assert [(it.step, it.praised) for it in found.steps] == [("find_sale", 1)]
