"""What the label page offers where more is captured than it holds at once."""

from __future__ import annotations

from typing import Any

from agentkit.collect.labels.lots import drawn
from agentkit.config import LabelSettings
from agentkit.records import Feedback, ResponseId, Source
from agentkit.store import Store
from agentkit.web.label.desk import Desk
from tests.collect.feedback.talks import said
from tests.web.label.conftest import captured


def fill(store: Store, count: int = 40) -> list[str]:
    """Conversations of two answers each, the oldest first; gives their names."""
    store.add_exchanges(
        [
            captured(f"c{n}.{step}", f"c{n}", step, ago=60 + 10 * (count - n) - place)
            for n in range(count)
            for place, step in enumerate("ab")
        ]
    )
    return [f"c{n}" for n in range(count)]


def now(conversation: str, value: float, **changes: Any) -> Feedback:
    return said(conversation, value, at=captured("x", "x", "x").at, **changes)


def offered(desk: Desk, expert: str) -> list[ResponseId]:
    return [it.answer.id for it in desk.queue().items(expert)]


def test_what_waits_for_a_second_expert_is_asked_for_however_much_came_in_since(store: Store) -> None:
    settings = LabelSettings(second_share=0.3)
    lots = {id for it in fill(store)[:20] if drawn(id := ResponseId(f"{it}.a"), settings)}
    assert len(lots) > 1
    for id in lots:
        store.add_feedback(now(id.partition(".")[0], 1.0, response=id, source=Source.EXPERT, by="ann"))
    desk = Desk(store, settings, most=5)
    assert lots <= set(offered(desk, "bob"))
    assert not lots & set(offered(desk, "ann"))
    assert desk.queue().progress("ann").waiting == len(lots)
    assert next(desk.queue().items("bob")).lot


def test_what_was_spoken_of_after_it_left_the_window_is_asked_for_and_is_no_lot(store: Store) -> None:
    settings = LabelSettings(second_share=0.5)
    names = fill(store)
    blamed = {ResponseId(f"{it}.{step}") for it in names[:8] for step in "ab"}
    assert not blamed & set(offered(Desk(store, settings, most=20), "ann"))
    for name in names[:4]:
        store.add_feedback(now(name, 0.0))
    for name in names[4:8]:
        store.add_feedback(now(name, 0.0, response=f"{name}.a", source=Source.JUDGE))
    found = blamed & set(offered(Desk(store, settings, most=20), "ann"))
    assert found == {it for it in blamed if not drawn(it, settings)}
    assert 0 < len(found) < len(blamed)


def test_what_is_recalled_is_bounded_and_begins_with_what_teaches_most(store: Store) -> None:
    for name in fill(store, 300)[:280]:
        store.add_feedback(now(name, float(name != "c7"), response=f"{name}.a"))
    asked = offered(Desk(store, LabelSettings(second_share=0), most=10), "ann")
    assert 10 < len(asked) <= 10 + 2 * 100
    assert asked[0] == "c7.a"
