"""An expert's verdict given and taken back, what several make of each other and of the judge, and what is learned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.collect.labels.agreement import agreement
from agentkit.collect.labels.experts import expert_name
from agentkit.collect.labels.fits import misfit
from agentkit.collect.labels.label import Mark, add_label, mark_of, undo, verdicts
from agentkit.collect.labels.rows import judgements
from agentkit.config import LabelSettings
from agentkit.errors import FeedbackError, UsageError
from agentkit.records import FeedbackKind, Source
from agentkit.store import Store
from tests.collect.feedback.talks import exchange, said, talk

SCHEMA = {"type": "object", "properties": {"pattern": {"type": "integer"}}, "required": ["pattern"]}
TOOLS = [{"type": "function", "function": {"name": "pay", "parameters": SCHEMA}}]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(tmp_path)
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


def better(name: str, arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"name": name, "arguments": arguments}}]}


def test_each_mark_is_recorded_and_the_last_is_taken_back_first(store: Store) -> None:
    first, second, third = talk("c", "a", "b", "d")
    add_label(store, "ann", first, Mark.RIGHT)
    add_label(store, "ann", second, Mark.BETTER, answer="this instead", comment="  too vague ")
    add_label(store, "ann", third, Mark.SKIP)
    add_label(store, "bob", first, Mark.WRONG)
    found = store.feedback(source=Source.EXPERT, by="ann")
    assert [(it.kind, it.value, it.text, it.step) for it in found] == [
        (FeedbackKind.THUMB, 1.0, "", "a"),
        (FeedbackKind.CORRECTION, 0.0, "too vague", "b"),
        (FeedbackKind.COMMENT, None, "", "d"),
    ]
    assert {id: set(by) for id, by in verdicts(store.feedback()).items()} == {"c.0": {"ann", "bob"}, "c.1": {"ann"}}
    assert [mark_of(undo(store, "ann")) for _ in range(4)] == ["skip", "better", "right", "gone"]
    assert [it.by for it in store.feedback()] == ["bob"]


def test_the_same_twice_is_once_and_another_verdict_is_refused(store: Store) -> None:
    it = exchange("c.0", "c", "a")
    assert add_label(store, "ann", it, Mark.RIGHT) == add_label(store, "ann", it, Mark.RIGHT)
    with pytest.raises(FeedbackError, match=r"judged this answer before \(right\); undo that first") as caught:
        add_label(store, "ann", it, Mark.WRONG)
    assert caught.value.status == 409
    assert len(store.feedback()) == 1


def test_what_is_said_of_a_forgotten_answer_is_refused(store: Store) -> None:
    (it,) = talk("c", "a")
    store.add_exchanges([it])
    store.forget("user-1", [it.conversation])
    with pytest.raises(FeedbackError, match=r"c\.0 is gone") as caught:
        add_label(store, "ann", it, Mark.BETTER, answer="this instead")
    assert caught.value.status == 404
    assert store.feedback() == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("said 0", "is the one that was given"),
        (" ", "is empty"),
        (better("pay", {}), "arguments of pay: 'pattern' is a required property"),
        (better("pay", {"pattern": "x"}), "pattern: 'x' is not of type 'integer'"),
        (better("pai", {}), "did you mean 'pay'?"),
    ],
)
def test_a_better_answer_must_be_one_that_could_have_been_given(store: Store, answer: Any, words: str) -> None:
    with pytest.raises(FeedbackError) as caught:
        add_label(store, "ann", exchange("c.0", "c", "a", tools=TOOLS), Mark.BETTER, answer=answer)
    assert words in str(caught.value)
    assert store.feedback() == []
    good = better("pay", {"pattern": 3})
    label = add_label(store, "ann", exchange("c.0", "c", "a", tools=TOOLS), Mark.BETTER, answer=good)
    assert label.answer is not None
    assert label.answer["tool_calls"][0]["function"]["arguments"] == '{"pattern":3}'


def test_a_demanded_format_is_held_to_and_a_foreign_schema_is_tamed() -> None:
    def answer(text: str, schema: Any) -> str:
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        return misfit({"role": "assistant", "content": text}, {"response_format": form})

    assert answer('{"pattern": 1}', SCHEMA) == ""
    assert "'pattern' is a required property" in answer("{}", SCHEMA)
    assert "the caller demands JSON here" in answer("sorry", SCHEMA)
    assert answer('"' + "a" * 40 + '!"', {"type": "string", "pattern": "^(a+)+$"}) == "", "would search for ever"
    assert answer("1", {"$ref": "https://example.com/schema.json"}) == "", "no address is followed"
    assert answer("1", {"type": "nonsense"}) == ""
    assert misfit({"content": "anything"}, {"response_format": "odd"}) == ""
    assert "demands JSON" in misfit({"content": "anything"}, {"response_format": {"type": "json_object"}})


def test_who_may_judge() -> None:
    anyone, two = LabelSettings(), LabelSettings(experts=("ann", "bob"))
    assert expert_name("  Dr. Ann  O'Hara ", anyone) == "Dr. Ann O'Hara"
    assert expert_name("ann", two) == "ann"
    with pytest.raises(UsageError, match=r"'anne' may not judge here \(did you mean 'ann'\?\)"):
        expert_name("anne", two)
    for name in ("", "a/b", "<b>", "x" * 65, "\u202eann", "a\x1b"):
        with pytest.raises(UsageError, match="expected 1 to 64 letters"):
            expert_name(name, anyone)


def test_agreement_is_that_over_the_lots_and_labels_count_everywhere() -> None:
    def label(n: int, by: str, value: float) -> Any:
        return said(f"c{n}", value, response=f"c{n}.0", source=Source.EXPERT, by=by)

    heard = [
        *(label(n, "bob", float(n % 3 > 0)) for n in range(12)),
        *(label(n, "ann", float(n % 4 > 0)) for n in range(12)),
        label(20, "cyd", 0.0),
        *(said(f"c{n}", float(n % 3 > 0), response=f"c{n}.0", source=Source.JUDGE) for n in range(21)),
    ]
    found = agreement(heard, {f"c{n}.0" for n in range(10)}, 10)  # type: ignore[misc]
    assert list(found.pairs) == [("ann", "bob")]
    assert found.experts == found.pairs["ann", "bob"]
    assert (found.experts.n, found.experts.agreed) == (10, 5)
    assert (found.judge.n, found.judge.agreed) == (5, 5), "where experts are split, it is left out"
    assert found.labels == {"ann": 12, "bob": 12, "cyd": 1}
    assert (found.windows, found.drifted) == ((), False)
    assert found.document()["experts"]["kappa"]["estimate"] == found.experts.estimate


def test_an_experts_word_outweighs_thumbs_and_corrections_are_kept() -> None:
    talks = [*talk("a", "find", "refund"), *talk("b", "find"), *talk("d", "find")]
    answer, other = {"role": "assistant", "content": "x"}, {"role": "assistant", "content": "y"}
    heard = [
        said("a", 1.0, response="a.0"),
        said("a", 0.0, response="a.0", source=Source.EXPERT, kind=FeedbackKind.CORRECTION, answer=answer),
        said("a", 0.0, response="a.0", kind=FeedbackKind.CORRECTION, answer=other, by="shop2"),
        said("a", 0.0, response="a.0", kind=FeedbackKind.CORRECTION, answer=answer, by="shop3"),
        said("b", 0.0, response="b.0"),
        said("b", 1.0, response="b.0", by="shop2"),
        said("d", 1.0, response="d.0", source=Source.JUDGE),
        said("a", 0.0),
    ]
    first, second = judgements(talks, heard)
    assert (first.response, first.right, first.by, first.judges, first.better) == (
        "a.0", False, Source.EXPERT, 1, (answer, other)
    )  # fmt: skip
    assert (second.response, second.right, second.judges, second.better) == ("b.0", None, 2, ())
    assert first.given == talks[0].response
    assert [it.response for it in judgements(talks, heard, (Source.EXPERT,))] == ["a.0"]
