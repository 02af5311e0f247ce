"""LLM judges of captured answers: a real judge over a model inside the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from agentkit.collect.feedback.judges import judge_sample, latest, sureness, version_of
from agentkit.collect.feedback.sample import chosen
from agentkit.collect.feedback.talk import messages_of
from agentkit.config import LabelSettings
from agentkit.errors import ProviderError
from agentkit.grade import Judge
from agentkit.llm import ChatRequest, FakeChat
from agentkit.records import FeedbackKind, Source, ToolCall
from agentkit.store import Store
from tests.collect.feedback.talks import exchange, talk

TALKS = [it for n in range(40) for it in talk(f"c-{n}", "find", "refund")]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        opened.add_exchanges([*TALKS, exchange("broken", "c-0", "find", response=None, status=502, error="gone")])
        yield opened


class Reader:
    """Finds wrong what was said first in a conversation, quotes what nobody said of `lies`, and cannot be reached
    where the answer is `nobody`."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, request: ChatRequest) -> str:
        body = orjson.loads(request.messages[-1].content)
        last = body["conversation"][-1]["said"]
        self.read.append(last)
        if last == "nobody":
            raise ProviderError("server", "502")
        words = "not there" if last == "lies" else last
        strict = "wrong before" in body["rubric"]
        return orjson.dumps(
            {"reason": f"of {last}", "quotation": words, "passed": last == "said 1" and not strict}
        ).decode()


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def judge(reader: Reader) -> Judge:
    return Judge(FakeChat(reader, name="llm-1"))


async def test_a_share_is_judged_once_and_the_larger_holds_the_smaller(
    store: Store, judge: Judge, reader: Reader
) -> None:
    first = await judge_sample(store, judge, 0.2, None)
    sample = {it.conversation for it in TALKS if chosen("judge", it.conversation, 0.2)}
    assert 3 <= len(sample) <= 14
    assert (first.conversations, first.asked) == (len(sample), 2 * len(sample))
    assert (first.right, first.wrong, first.undecided) == (len(sample), len(sample), 0)
    assert (await judge_sample(store, judge, 0.2, None)).asked == 0
    whole = await judge_sample(store, judge, 1.0, None)
    assert whole.asked == len(TALKS) - first.asked
    assert len(reader.read) == len(TALKS)
    said = store.feedback(source=Source.JUDGE)
    assert len(said) == len({it.response for it in said}) == len(TALKS)
    one = next(it for it in said if it.response == "c-0.1")
    assert (one.by, one.kind, one.value, one.step, one.text) == (
        "llm-1",
        FeedbackKind.THUMB,
        1.0,
        "refund",
        "of said 1",
    )
    rubric = LabelSettings().rubric
    assert one.details == {
        "model": "llm-1", "rubric": rubric, "version": version_of(rubric), "votes": 1, "quotation": "said 1"
    }  # fmt: skip
    assert sureness(one) is None


async def test_only_what_is_read_is_loaded(store: Store, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = store.exchange
    monkeypatch.setattr(store, "exchange", lambda id: loaded.append(id) or load(id))  # type: ignore[func-returns-value]
    monkeypatch.setattr(store, "exchanges", None)
    found = await judge_sample(store, judge, 1.0, None, most=3)
    assert (found.conversations, found.asked) == (40, 3)
    assert len(loaded) == 3
    monkeypatch.setattr(store, "exchange", lambda _: None)
    assert (await judge_sample(store, judge, 1.0, None, most=3)).asked == 0, "they were forgotten meanwhile"


async def test_another_rubric_is_another_judgement(store: Store, judge: Judge) -> None:
    own = LabelSettings(rubrics={"refund": "It says how long the money takes."})
    await judge_sample(store, judge, 1.0, None, step="refund", most=3)
    again = await judge_sample(store, judge, 1.0, None, settings=own, step="refund", most=3)
    assert again.asked == 3
    assert len({(it.details or {})["version"] for it in store.feedback(source=Source.JUDGE)}) == 2


async def test_read_three_times_it_says_how_sure_it_is(store: Store, judge: Judge) -> None:
    for step in ("find", "refund"):
        await judge_sample(store, judge, 1.0, None, settings=LabelSettings(judge_votes=3), step=step, most=1)
    found = {it.step: it for it in store.feedback(source=Source.JUDGE)}
    assert (found["find"].value, found["find"].kind, sureness(found["find"])) == (0.0, FeedbackKind.THUMB, 1.0)
    assert found["refund"].value == pytest.approx(2 / 3)
    assert found["refund"].kind is FeedbackKind.SCORE
    assert sureness(found["refund"]) == pytest.approx(1 / 3)


async def test_what_it_cannot_judge_is_neither_right_nor_wrong(store: Store, judge: Judge) -> None:
    store.add_exchanges([exchange("odd", "odd", "odd", response={"role": "assistant", "content": "lies"})])
    found = await judge_sample(store, judge, 1.0, None, step="odd")
    assert (found.asked, found.undecided, found.unreached) == (1, 1, 0)
    (said,) = store.feedback(response=exchange("odd", "odd", "odd").id)
    assert (said.kind, said.value) == (FeedbackKind.COMMENT, None)
    assert "quotes what nobody said" in said.text
    assert latest([said]) == {"odd": said}
    assert (await judge_sample(store, judge, 1.0, None, step="odd")).asked == 0


async def test_a_judge_that_cannot_be_reached_is_asked_again(store: Store, judge: Judge) -> None:
    store.add_exchanges([exchange("odd", "odd", "odd", response={"role": "assistant", "content": "nobody"})])
    for _ in range(2):
        found = await judge_sample(store, judge, 1.0, None, step="odd")
        assert (found.asked, found.undecided, found.unreached) == (1, 0, 1)
    assert store.feedback() == []


def test_foreign_bodies_are_read_as_far_as_they_go() -> None:
    calls = [
        {"id": "a", "function": {"name": "pay", "arguments": '{"amount": 5}'}},
        {"id": 7, "function": {"name": "pay", "arguments": "{"}},
        "odd",
    ]
    sent = [
        "odd",
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image_url"}]},
        {"content": 5},
    ]
    it = exchange("x", "x", "x", request={"messages": sent}, response={"role": "assistant", "tool_calls": calls})
    user, odd, answer = messages_of(it)
    assert (user.content, user.turn, odd.content) == ('one\n{"type":"image_url"}', 0, "5")
    assert answer.tool_calls == (ToolCall("a", "pay", {"amount": 5}), ToolCall("7", "pay", None, "{"))
    assert messages_of(exchange("x", "x", "x", request={"messages": "no"}, response=None)) == ()
