"""Judgements in the store: recorded once, found by what they are about, and taken back by who made them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentkit.errors import StoreError
from agentkit.records import ConversationId, Feedback, FeedbackKind, ResponseId, Source
from agentkit.store import Store

ONE = Feedback(
    id="shop/f-1",
    at="2026-03-01T10:00:00.000+00:00",
    source=Source.USER,
    by="shop",
    kind=FeedbackKind.THUMB,
    conversation=ConversationId("c-1"),
    response=ResponseId("chatcmpl-1"),
    step="refund",
    value=0.0,
    text="paid \x1b[31mtwice \u202e",
    details={"blame": "response"},
)


def make(n: int, **changes: object) -> Feedback:
    return replace(ONE, id=f"shop/f-{n}", **changes)  # type: ignore[arg-type]


def test_a_judgement_comes_back_as_it_was(store: Store) -> None:
    bare = make(2, response=None, step="", value=None, text="", details=None, kind=FeedbackKind.COMMENT)
    better = make(3, kind=FeedbackKind.CORRECTION, answer={"role": "assistant", "content": "no"})
    assert [store.add_feedback(it) for it in (ONE, bare, better)] == [True, True, True]
    assert store.feedback() == [ONE, bare, better]
    assert store.feedback_of("shop/f-3") == better
    assert store.feedback_of("shop/f-4") is None


def test_an_id_is_taken_once(store: Store) -> None:
    assert store.add_feedback(ONE)
    assert not store.add_feedback(replace(ONE, value=1.0))
    assert store.feedback() == [ONE]


def test_it_is_found_by_what_it_is_about(store: Store) -> None:
    rows = [
        ONE,
        make(2, conversation=ConversationId("c-2"), response=ResponseId("chatcmpl-2"), at="2026-03-02T00:00:00+00:00"),
        make(3, source=Source.EXPERT, by="ann", at="2026-03-03T02:00:00+02:00"),
    ]
    for row in rows:
        store.add_feedback(row)

    def ids(**about: object) -> list[str]:
        return [it.id.removeprefix("shop/") for it in store.feedback(**about)]  # type: ignore[arg-type]

    assert ids(conversation="c-1") == ["f-1", "f-3"]
    assert ids(response="chatcmpl-2") == ["f-2"]
    assert ids(source=Source.EXPERT) == ["f-3"]
    assert ids(by="ann") == ["f-3"]
    assert ids(since="2026-03-02T00:00:00Z") == ["f-2", "f-3"], "times compare as times, whatever their zone"
    assert ids(since="2026-03-03T00:00:00.001+00:00") == []
    assert ids(conversations=["c-2", "c-1", "c-1"]) == ["f-1", "f-2", "f-3"]
    assert ids(conversations=[]) == []
    assert ids(conversations=[f"none-{n}" for n in range(1200)] + ["c-2"]) == ["f-2"]


def test_only_its_maker_takes_it_back(store: Store) -> None:
    store.add_feedback(ONE)
    assert not store.withdraw_feedback(ONE.id, by="bob")
    assert store.feedback() == [ONE]
    assert store.withdraw_feedback(ONE.id, by="shop")
    assert not store.withdraw_feedback(ONE.id, by="shop")
    assert store.feedback() == []


def test_what_no_database_can_hold_is_rewritten(store: Store) -> None:
    store.add_feedback(replace(ONE, text="a\0b\ud800", value=float("nan")))
    (found,) = store.feedback()
    assert (found.text, found.value) == ("a\\x00b\\ud800", None)


def test_a_time_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="found 'yesterday', expected an RFC 3339 time"):
        store.add_feedback(replace(ONE, at="yesterday"))
    with pytest.raises(StoreError, match="expected an RFC 3339 time"):
        store.feedback(since="soon")
