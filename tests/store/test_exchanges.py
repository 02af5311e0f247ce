"""Exchanges come back as they were, are recorded once, and go with their user or with time."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert

from agentkit.errors import StoreError, StoreUnavailable
from agentkit.records import ConversationId, Feedback, FeedbackKind, ResponseId, Source, Target, TargetKind
from agentkit.store import Head, Store
from agentkit.store.tables import forgotten
from tests.collect.captured import make_exchange
from tests.postgres import NEEDED
from tests.store.records import HOSTILE, json_values

OTHER = ConversationId("conv-2")


def at(day: int) -> str:
    return f"2026-03-{day:02d}T12:00:00.000+00:00"


def judged(id: str, conversation: str, day: int = 1) -> Feedback:
    return Feedback(id, at(day), Source.USER, "till", FeedbackKind.THUMB, ConversationId(conversation), value=0.0)


def test_an_exchange_comes_back_as_it_was(store: Store) -> None:
    whole = make_exchange()
    bare = make_exchange(
        "b", response=None, error="no upstream", status=503, finish_reason=None, first_token=None, user=None,
        trace_id=None, span_id=None,
    )  # fmt: skip
    assert store.add_exchanges([whole, bare]) == 2
    assert store.exchanges() == [whole, bare]
    assert store.exchange("b") == bare
    assert store.exchange("c") is None


def test_an_id_is_recorded_once(store: Store) -> None:
    first = make_exchange("a")
    assert store.add_exchanges([first, make_exchange("a", step="other"), make_exchange("b")]) == 2
    assert store.add_exchanges([make_exchange("b", step="other"), make_exchange("c")]) == 1
    assert [(it.id, it.step) for it in store.exchanges()] == [(id, "find_sale") for id in "abc"]
    assert store.add_exchanges([]) == 0


@pytest.mark.parametrize("url", [pytest.param("postgresql", marks=[pytest.mark.slow, NEEDED])], indirect=True)
def test_what_no_index_can_hold_is_the_rows_fault_and_not_the_stores(store: Store) -> None:
    long = ConversationId("".join(f"{number:x}" for number in range(99_999)))
    with pytest.raises(StoreError, match="index row") as caught:
        store.add_exchanges([make_exchange("a", conversation=long)])
    assert not isinstance(caught.value, StoreUnavailable)
    assert store.add_exchanges([make_exchange("b")]) == 1


def test_exchanges_are_chosen_by_what_they_are(store: Store) -> None:
    made = [
        make_exchange("a", at=at(3)),
        make_exchange("b", at=at(1), conversation=OTHER, agent="clerk"),
        make_exchange("c", at=at(2), step="refund", user=None),
    ]
    store.add_exchanges(made)

    def ids(**chosen: Any) -> str:
        return "".join(it.id for it in store.exchanges(**chosen))

    assert ids() == "bca", "in the order in which they came in"
    assert ids(limit=2) == "ca"
    assert ids(conversation=OTHER) == ids(agent="clerk") == "b"
    both = [OTHER, ConversationId("conv-1"), ConversationId("none")]
    assert (ids(conversations=both), ids(conversations=both, limit=2), ids(conversations=[])) == ("bca", "ca", "")
    assert ids(conversations=[OTHER], since=at(2)) == ""
    assert ids(step="refund") == "c"
    assert ids(since=at(2)) == ids(since="2026-03-02T13:00:00+01:00") == "ca"
    assert ids(step="find_sale", agent="demo") == "a"
    assert store.conversations() == ["conv-1", OTHER]
    assert (
        store.conversations(agent="clerk") == store.conversations(limit=1, step="find_sale", agent="clerk") == [OTHER]
    )
    assert store.conversations(since=at(4)) == []
    found = store.traffic()
    assert (found.exchanges, found.conversations, found.users, found.oldest, found.newest) == (3, 2, 1, at(1), at(3))
    with pytest.raises(StoreError, match=r"since: found 'yesterday', expected an RFC 3339 time"):
        store.exchanges(since="yesterday")


def test_heads_say_whose_an_exchange_is(store: Store) -> None:
    made = [
        make_exchange("a", at=at(3), target=Target(TargetKind.ADAPTER, "refund-v1-3fa9")),
        make_exchange("b", at=at(1), conversation=OTHER, agent="clerk", error="cut off"),
        make_exchange("c", at=at(2), step="refund", response=None),
    ]
    store.add_exchanges(made)
    assert store.heads(since=at(3)) == [
        Head(ResponseId("a"), ConversationId("conv-1"), at(3), "till", "demo", "find_sale", made[0].target, True)
    ]

    def ids(**chosen: Any) -> str:
        return "".join(it.id for it in store.heads(**chosen))

    assert ids() == "bca", "in the order in which they came in"
    assert [it.answered for it in store.heads()] == [False, False, True]
    assert ids(conversation=OTHER) == ids(agent="clerk") == ids(id="b") == "b"
    assert (ids(step="refund"), ids(since=at(2)), ids(id="d")) == ("c", "ca", "")


@pytest.fixture(scope="module")
def hostile_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('hostile')}/store.db") as opened:
        yield opened


@settings(max_examples=25, deadline=None)
@given(
    request=st.dictionaries(HOSTILE, json_values(HOSTILE, allow_nan=True), max_size=3),
    word=HOSTILE,
    seconds=st.floats(),
)
def test_hostile_content_is_kept_as_far_as_it_can_be(
    hostile_store: Store, request: Any, word: str, seconds: float
) -> None:
    id = uuid.uuid4().hex
    hostile = make_exchange(id, request=request, response={"content": word}, error=word, step=word, latency=seconds)
    assert hostile_store.add_exchanges([hostile]) == 1
    kept = hostile_store.exchange(id)
    assert kept is not None
    again = replace(kept, id=ResponseId(f"{id} again"))
    assert hostile_store.add_exchanges([again]) == 1
    assert hostile_store.exchange(again.id) == again, "what was kept once is kept as it is"


def test_a_user_is_forgotten_everywhere_and_for_good(store: Store) -> None:
    user = make_exchange().user or ""
    store.add_exchanges(
        [
            make_exchange("a"),
            make_exchange("b", user=None),
            make_exchange("c", conversation=OTHER, user="user-other"),
        ]
    )
    store.add_feedback(judged("1", "conv-1"))
    store.add_feedback(judged("2", OTHER))
    assert store.conversations_of(user) == ["conv-1"]
    gone = store.forget(user)
    assert (gone.conversations, gone.exchanges, gone.feedback) == (("conv-1",), 2, 1)
    assert [it.id for it in store.exchanges()] == ["c"]
    assert [it.id for it in store.feedback()] == ["2"]
    late = [make_exchange("d", conversation=ConversationId("conv-3")), make_exchange("e", user="user-other")]
    assert store.add_exchanges([*late, make_exchange("f", conversation=OTHER, user="user-other")]) == 1, "the others go"
    assert [it.id for it in store.exchanges()] == ["c", "f"]
    again = store.forget(user, [OTHER])
    assert (again.exchanges, again.feedback) == (2, 1)
    assert store.traffic().forgotten == 1


def test_what_is_said_of_a_forgotten_conversation_later_is_not_kept(store: Store) -> None:
    store.add_exchanges([make_exchange("a"), make_exchange("b", conversation=OTHER, user="user-other")])
    store.forget(make_exchange().user or "")
    assert [store.add_feedback(judged(name, name)) for name in ("conv-1", OTHER)] == [False, True]
    assert [it.conversation for it in store.feedback()] == [OTHER]


def test_a_conversation_in_which_a_forgotten_user_takes_part_goes_whole(store: Store) -> None:
    """Not every request names them, and each repeats what was said before."""
    nobodys = [make_exchange(id, user=None) for id in "abc"]
    store.add_exchanges([nobodys[0], make_exchange("other", conversation=OTHER, user=None)])
    store.add_feedback(judged("1", "conv-1"))
    store.forget(make_exchange().user or "")
    assert store.add_exchanges([nobodys[1]]) == 1, "nothing says yet whose it is"
    assert store.add_exchanges([make_exchange("named"), nobodys[2]]) == 0
    assert store.add_exchanges(nobodys) == 0
    assert [it.id for it in store.exchanges()] == ["other"]
    assert store.feedback() == []


def test_what_was_forgotten_is_not_left_in_the_file(store: Store, url: str) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("of SQLite's file")
    said = "the dress with the peacock feathers"
    store.add_exchanges([make_exchange("a", request={"messages": [{"role": "user", "content": said}]})])
    path = url.removeprefix("sqlite:///")

    def left() -> bool:
        return any(said.encode() in file.read_bytes() for file in Path(path).parent.iterdir())

    assert left()
    store.forget(make_exchange().user or "")
    assert not left()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_user_who_is_forgotten_while_exchanges_arrive_leaves_none(store: Store, url: str) -> None:
    user = make_exchange().user or ""

    def arrive(worker: int) -> None:
        with Store.open(url) as other:
            for number in range(20):
                other.add_exchanges([make_exchange(f"{worker}-{number}-{place}") for place in range(3)])
                other.add_feedback(judged(f"{worker}-{number}", "conv-1"))

    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(arrive, worker) for worker in range(2)]
        pool.submit(store.forget, user).result()
        for it in working:
            it.result()
    assert store.exchanges() == []
    assert store.feedback() == [], "nor what was said of them"


def test_a_user_who_is_forgotten_by_two_at_once_is_forgotten_by_both(store: Store, url: str) -> None:
    store.add_exchanges([make_exchange("a"), make_exchange("b", conversation=OTHER, user=None)])
    user = make_exchange().user or ""
    other = create_engine(url)
    with ThreadPoolExecutor(1) as pool:
        with other.begin() as connection:
            connection.execute(insert(forgotten), {"user": user, "at": at(1)})
            later = pool.submit(store.forget, user, [OTHER])
            wait([later], timeout=0.1)
        assert later.result().exchanges == 2
    other.dispose()
    assert (store.exchanges(), store.traffic().forgotten) == ([], 1)


def test_old_exchanges_are_pruned_with_what_was_said_of_them(store: Store) -> None:
    store.add_exchanges([make_exchange(f"old-{n}", at=at(1), conversation=OTHER) for n in range(1203)])
    store.add_exchanges([make_exchange("early", at=at(1)), make_exchange("late", at=at(9))])
    for it in (judged("1", OTHER), judged("2", OTHER, day=9), judged("3", "conv-1")):
        store.add_feedback(it)
    assert store.prune_exchanges(at(5)) == 1204
    assert [it.id for it in store.exchanges()] == ["late"]
    assert [it.id for it in store.feedback()] == ["2", "3"], "the newer one, and that of a conversation that goes on"
    assert store.prune_exchanges(at(5)) == 0
