"""What `/v1/feedback` takes, from whom, how often, and what it says where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from agentkit.collect.feedback.accept import accept, public_id, receipt
from agentkit.errors import FeedbackError
from agentkit.records import Feedback, FeedbackKind, Source
from agentkit.store import Store
from tests.collect.feedback.talks import exchange, talk

NOW = datetime(2026, 3, 5, tzinfo=UTC)
TOOLS = [{"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}]
CALL = {"function": {"name": "pay", "arguments": {"amount": 5}}}


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch, Store.open(f"sqlite:///{folder / 'store.db'}") as store:
        patch.chdir(folder)
        store.add_exchanges(talk("c-1", "find", "refund", tools=TOOLS))
        store.add_exchanges([exchange("theirs", "c-2", "find", key="other")])
        store.add_exchanges([exchange("shared", "c-1", "find", minute=9, key="other")])
        yield store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """For judgements that are refused: whatever is sent, it stays as it is."""
    with opened(tmp_path_factory.mktemp("untouched")) as found:
        yield found


def take(store: Store, key: str = "shop", **body: Any) -> Feedback:
    return accept(store, key, body, clock=lambda: NOW)


def refused(store: Store, **body: Any) -> tuple[int, str]:
    with pytest.raises(FeedbackError) as caught:
        take(store, **body)
    assert store.feedback() == []
    return caught.value.status, str(caught.value)


def test_each_form_is_recorded_as_what_it_is(store: Store) -> None:
    up = take(store, response="c-1.1", thumb="up", comment="quick")
    assert (up.kind, up.value, up.text, up.step, up.source, up.by) == (
        FeedbackKind.THUMB, 1.0, "quick", "refund", Source.USER, "shop"
    )  # fmt: skip
    assert take(store, response="c-1.1", thumb=False).value == 0.0
    score = take(store, conversation="c-1", step="find", score=0.25)
    assert (score.kind, score.value, score.step, score.response) == (FeedbackKind.SCORE, 0.25, "find", None)
    better = take(store, response="c-1.1", correction="Your money is on its way.")
    assert (better.kind, better.value) == (FeedbackKind.CORRECTION, 0.0)
    assert better.answer == {"role": "assistant", "content": "Your money is on its way."}
    said = take(store, conversation="c-1", comment="so-so")
    assert (said.kind, said.value, said.step) == (FeedbackKind.COMMENT, None, "")
    assert len(store.feedback(conversation=up.conversation)) == 5
    assert store.feedback()[0] == up


def test_a_corrected_call_is_kept_as_the_api_writes_it(store: Store) -> None:
    found = take(store, response="c-1.1", correction={"content": None, "tool_calls": [CALL]})
    assert found.answer == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call-0", "type": "function", "function": {"name": "pay", "arguments": '{"amount":5}'}},
        ],
    }


def test_what_was_said_is_read_for_corrections_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = store.exchange
    monkeypatch.setattr(store, "exchange", lambda id: loaded.append(id) or load(id))  # type: ignore[func-returns-value]
    monkeypatch.setattr(store, "exchanges", None)
    take(store, response="c-1.1", thumb="down")
    take(store, conversation="c-1", thumb="down")
    assert loaded == []
    take(store, conversation="c-1", step="find", correction="It is sale 7.")
    assert loaded == ["c-1.0"]


def test_a_correction_of_a_step_is_of_its_last_answer(store: Store) -> None:
    found = take(store, conversation="c-1", step="find", correction="It is sale 7.")
    assert (found.response, found.step) == ("c-1.0", "find")


def test_it_comes_days_later_and_is_recorded_with_its_time(store: Store) -> None:
    late = accept(store, "shop", {"response": "c-1.0", "thumb": "down"}, clock=lambda: datetime(2027, 1, 1, tzinfo=UTC))
    assert store.feedback(since="2026-12-31T00:00:00Z") == [late]


def test_sent_again_it_counts_once(store: Store) -> None:
    first = take(store, id="f-1", response="c-1.0", thumb="down")
    again = accept(store, "shop", {"id": "f-1", "response": "c-1.0", "thumb": 0}, clock=lambda: datetime.now(UTC))
    assert again == first
    assert public_id(first) == "f-1"
    with pytest.raises(FeedbackError, match="'f-1' is another judgement's already") as caught:
        take(store, id="f-1", response="c-1.0", thumb="up")
    assert caught.value.status == 409
    assert store.feedback() == [first]


def test_sent_again_after_a_judge_spoke_it_is_the_same_still(store: Store) -> None:
    first = take(store, id="f-1", conversation="c-1", thumb="down")
    assert (first.step, first.details) == (
        "refund", {"blame": {"rule": "last", "agent": "till", "response": "c-1.1"}}
    )  # fmt: skip
    store.add_feedback(Feedback("j", NOW.isoformat(), Source.JUDGE, "llm", FeedbackKind.THUMB, first.conversation,
                                exchange("c-1.0", "c-1", "find").id, "find", 0.0))  # fmt: skip
    assert take(store, id="f-1", conversation="c-1", thumb="down") == first
    assert take(store, id="f-2", conversation="c-1", thumb="down").step == "find"


def test_ids_of_two_keys_never_meet(store: Store) -> None:
    take(store, id="f-1", response="c-1.0", thumb="down")
    take(store, "other", id="f-1", response="theirs", thumb="up")
    assert [it.value for it in store.feedback()] == [0.0, 1.0]


def test_of_two_at_once_one_is_recorded(store: Store) -> None:
    start, found = Barrier(4), []

    def send() -> None:
        start.wait()
        found.append(take(store, id="f-1", response="c-1.0", thumb="down"))

    threads = [Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(public_id, found))) == len(store.feedback()) == 1


@pytest.mark.parametrize(
    "about", [{"response": "theirs"}, {"response": "nobody's"}, {"response": "shared"}, {"response": "c-1"}]
)
def test_what_is_not_ones_own_is_not_there(untouched: Store, about: dict[str, str]) -> None:
    assert refused(untouched, **about, thumb="up") == (404, "feedback: response: this key has no such response")


def test_nor_is_what_is_forgotten_while_it_is_judged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add = store.add_feedback

    def late(it: Feedback) -> bool:
        store.forget("user-1", [it.conversation])
        return add(it)

    monkeypatch.setattr(store, "add_feedback", late)
    assert refused(store, response="c-1.0", thumb="up") == (404, "feedback: response: this key has no such response")


@pytest.mark.parametrize("about", [{"conversation": "c-2"}, {"conversation": "c-3"}])
def test_nor_is_a_conversation(untouched: Store, about: dict[str, str]) -> None:
    assert refused(untouched, **about, thumb="up") == (404, "feedback: conversation: this key has no such conversation")
    assert refused(untouched, response="c-1.0", **about, thumb="up")[0] == 404


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "response: is missing"),
        ({"response": "c-1.0"}, 400, "holds no judgement; expected a thumb, a score, a correction or a comment"),
        ({"response": "c-1.0", "thumbs": "up"}, 400, "'thumbs': is unknown (did you mean 'thumb'?)"),
        ({"response": "c-1.0", "thumb": "sideways"}, 400, "thumb: found 'sideways', expected 'up' or 'down'"),
        ({"response": "c-1.0", "thumb": 2}, 400, "thumb: found 2"),
        ({"response": "c-1.0", "thumb": ["up"]}, 400, "thumb: found a list"),
        ({"response": "c-1.0", "score": 1.5}, 400, "score: found 1.5, expected a number from 0 to 1"),
        ({"response": "c-1.0", "score": True}, 400, "score: found True"),
        ({"response": "c-1.0", "score": float("nan")}, 400, "score: found nan"),
        ({"response": "c-1.0", "score": 10**400}, 400, "score: found 1"),
        ({"response": "c-1.0", "thumb": "up", "score": 1}, 400, "found thumb and score, expected one of them"),
        ({"response": 7, "thumb": "up"}, 400, "response: found 7, expected a text"),
        ({"response": "c-1.0", "thumb": "up", "id": "a/b"}, 400, "id: found 'a/b'"),
        ({"response": "c-1.0", "thumb": "up", "step": "fnd", "conversation": "c-1"}, 400, "did you mean 'find'?"),
        (
            {"response": "c-1.0", "comment": "x" * 10_001},
            413,
            "comment: has 10,001 characters, expected at most 10,000",
        ),
        ({"response": "c-1.0", "comment": ["x"]}, 400, "comment: found a list, expected a text"),
        ({"conversation": "c-1", "correction": "no"}, 400, "response: is missing; expected whose answer"),
        ({"response": "c-1.1", "correction": ""}, 400, "correction: is empty"),
        ({"response": "c-1.1", "correction": "said 1"}, 400, "correction: is what was answered"),
        ({"response": "c-1.1", "correction": "x" * 100_000}, 413, "expected at most 100,000"),
        ({"response": "c-1.1", "correction": "\ud800"}, 400, "expected a text"),
        ({"response": "c-1.1", "correction": {"role": "user", "content": "x"}}, 400, "role: found 'user'"),
        ({"response": "c-1.1", "correction": {"contents": "x"}}, 400, "did you mean 'content'?"),
        ({"response": "c-1.1", "correction": {"tool_calls": [{}]}}, 400, "tool_calls[0]: found a dict"),
        (
            {"response": "c-1.1", "correction": {"tool_calls": [{"function": {"name": "pai", "arguments": {}}}]}},
            400,
            "no tool 'pai' was offered to the model (did you mean 'pay'?)",
        ),
        (
            {"response": "c-1.1", "correction": {"tool_calls": [{"function": {"name": "pay", "arguments": "{"}}]}},
            400,
            "arguments: found '{', expected a JSON object",
        ),
    ],
)
def test_what_cannot_be_taken_says_why(untouched: Store, body: dict[str, Any], status: int, said: str) -> None:
    found = refused(untouched, **body)
    assert found[0] == status
    assert said in found[1]
    assert found[1].isascii()


def test_what_must_not_be_kept_is_not(store: Store) -> None:
    key = "sk-" + "a1B2" * 8
    found = take(store, response="c-1.1", correction=f"use {key}, anna@example.org", comment=f"{key} anna@example.org")
    kept = store.feedback_of(found.id)
    assert kept is not None
    assert key not in str(kept)
    assert "anna" not in str(kept)
    assert kept.text.startswith("[redacted] [email ")
    assert kept.answer is not None
    assert kept.text[-10:] in kept.answer["content"], "the same in both, so that one can be told from another"


def test_whoever_sends_it_is_told_where_it_went(store: Store) -> None:
    assert receipt(take(store, id="f-1", conversation="c-1", thumb="down")) == {
        "id": "f-1",
        "object": "feedback",
        "created": "2026-03-05T00:00:00.000+00:00",
        "kind": "thumb",
        "value": 0.0,
        "conversation": "c-1",
        "response": None,
        "step": "refund",
        "rule": "last",
    }
