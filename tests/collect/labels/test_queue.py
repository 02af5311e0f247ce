"""Which answers are asked for first, who judges them, and how many do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agentkit.collect.feedback.sample import chosen
from agentkit.collect.labels.queue import WEIGHTS, Answer, Queue, answer_of
from agentkit.config import LabelSettings
from agentkit.records import Exchange, Feedback, Source
from tests.collect.feedback.talks import exchange, said, talk

NO_LOTS = LabelSettings(second_share=0)


def answers(exchanges: Sequence[Exchange]) -> list[Answer]:
    return [it for it in map(answer_of, exchanges) if it is not None]


def order(queue: Queue, expert: str = "ann") -> list[str]:
    return [it.answer.id for it in queue.items(expert)]


def label(response: str, by: str = "ann", value: float | None = 1.0) -> Feedback:
    return said(response.partition(".")[0], value, response=response, source=Source.EXPERT, by=by)


def test_disagreement_comes_first_then_what_the_judge_doubts_then_the_rest() -> None:
    talks = [it for name in "abcd" for it in talk(name, "find")]
    heard = [
        said("a", 1.0, response="a.0", source=Source.JUDGE),
        said("b", 0.0, response="b.0", source=Source.JUDGE),
        said("b", 1.0, response="b.0"),
        said("c", None, response="c.0", source=Source.JUDGE),
    ]
    queue = Queue(answers(talks), heard, NO_LOTS)
    assert order(queue) == ["b.0", "c.0", "d.0", "a.0"]
    first, second, third, last = queue.items("ann")
    assert first.parts["disagreement"] == 1.0
    assert [it.parts["doubt"] for it in (second, third, last)] == [1.0, 0.5, 0.25]
    assert second.score == pytest.approx(sum(WEIGHTS[name] * value for name, value in second.parts.items()))
    assert [it.parts["novelty"] for it in (first, second, third, last)] == [1, 1 / 2, 1 / 3, 1 / 4]


def test_steps_that_fail_come_before_steps_that_do_not() -> None:
    talks = [it for n in range(6) for it in talk(f"c{n}", "find", "refund")]
    heard = [said(f"c{n}", float(n > 3), response=f"c{n}.{step}") for n in range(5) for step in (1,)]
    found = list(Queue(answers(talks), heard, NO_LOTS).items("ann"))
    assert {it.answer.exchange.step for it in found[:4]} == {"refund"}
    parts = {it.answer.id: it.parts["failing"] for it in found}
    assert parts["c0.1"] == pytest.approx((5 / 7 + 1) / 2)
    assert parts["c5.1"] == pytest.approx(5 / 7 / 2)
    assert parts["c0.0"] == pytest.approx(1 / 2 / 2)


def test_a_new_kind_of_answer_comes_before_the_tenth_of_a_known_one() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "pay", "arguments": "{}"}}]}
    talks = [*(it for n in range(5) for it in talk(f"c{n}", "find")), exchange("new", "z", "find", response=call)]
    assert order(Queue(answers(talks), [label("c0.0"), label("c1.0")], NO_LOTS))[0] == "new"


def test_blame_of_a_conversation_counts_for_the_answer_it_is_laid_to() -> None:
    talks = talk("a", "find", "refund")
    found = {it.answer.id: it.parts for it in Queue(answers(talks), [said("a", 0.0)], NO_LOTS).items("ann")}
    assert found["a.1"]["failing"] > found["a.0"]["failing"]


def test_only_answers_are_asked_for() -> None:
    assert answer_of(exchange("x", "x", "x", response=None)) is None
    assert answer_of(exchange("x", "x", "x", error="broke off")) is None
    odd = answer_of(exchange("x", "x", "x", response={"tool_calls": [7, {"function": 8}]}))
    assert odd is not None
    assert odd.exchange.request == {}


def test_one_label_suffices_but_for_those_drawn_by_lot() -> None:
    settings = LabelSettings(second_share=0.3)
    talks = [it for n in range(60) for it in talk(f"c{n}", "find")]
    lots = {it.id for it in talks if chosen("second", it.id, 0.3)}
    heard = [label(it.id) for it in talks]
    after_one = Queue(answers(talks), heard, settings)
    assert 8 <= len(lots) <= 28
    assert order(after_one) == []
    assert set(order(after_one, "bob")) == lots
    assert (after_one.progress("ann").judged, after_one.progress("ann").waiting) == (60, len(lots))
    assert after_one.progress("bob").open == len(lots)
    both = Queue(answers(talks), [*heard, *(label(id, "bob") for id in lots)], settings)
    assert order(both, "cyd") == []
    assert both.progress("ann").waiting == 0


def test_lots_stand_at_their_share_of_the_places_however_often_one_asks() -> None:
    settings = LabelSettings(second_share=0.25)
    talks = [it for n in range(80) for it in talk(f"c{n}", "find")]
    heard: list[Feedback] = []
    drawn = []
    for _ in range(40):
        first = next(Queue(answers(talks), heard, settings).items("ann"))
        drawn.append(first.lot)
        heard.append(label(first.answer.id))
    assert drawn == [n % 4 == 0 for n in range(40)]
    ahead = [it.lot for it in Queue(answers(talks), [], settings).items("ann")]
    assert ahead[:40] == drawn


def test_lots_keep_their_share_where_what_was_judged_is_not_offered_any_more() -> None:
    settings = LabelSettings(second_share=0.25)
    gone, there = (answers([it for n in range(80) for it in talk(f"{name}{n}", "find")]) for name in "gt")
    lots = [it.id for it in gone if chosen("second", it.id, 0.25)][:8]
    others = [it.id for it in gone if not chosen("second", it.id, 0.25)][:24]
    heard = [label(id) for id in (*lots, *others)]
    queue = Queue(there, heard, settings)
    assert queue.progress("ann").waiting == len(lots) == len(others) / 3
    assert [it.lot for it in queue.items("ann")][:8] == [True, False, False, False] * 2


def test_what_was_skipped_is_not_asked_for_again_of_the_same_expert() -> None:
    talks = talk("a", "find")
    queue = Queue(answers(talks), [label("a.0", value=None)], NO_LOTS)
    assert order(queue) == []
    assert order(queue, "bob") == ["a.0"]
    assert (queue.progress("ann").skipped, queue.progress("ann").judged) == (1, 0)
