"""To which step a judgement goes, and what that makes of the steps."""

from __future__ import annotations

import pytest

from agentkit.collect.feedback.blame import Blame, Rule, blame
from agentkit.collect.feedback.tally import tallies
from agentkit.records import ResponseId, Source
from tests.collect.feedback.talks import said, talk

TALK = talk("c", "find", "confirm", "refund")
LATER = "2026-03-02T00:00:00.000+00:00"
JUDGED = [
    said("c", 1.0, response="c.0", source=Source.JUDGE),
    said("c", 0.0, response="c.2", source=Source.JUDGE),
    said("c", 0.0, response="c.1", source=Source.GRADE),
]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (
            {"step": "confirm", "response": ResponseId("c.0")},
            Blame(Rule.EXPLICIT, "confirm", "till", ResponseId("c.0")),
        ),
        ({"step": "confirm"}, Blame(Rule.EXPLICIT, "confirm", "till", ResponseId("c.1"))),
        ({"response": ResponseId("c.0")}, Blame(Rule.RESPONSE, "find", "till", ResponseId("c.0"))),
        ({}, Blame(Rule.JUDGED, "confirm", "till", ResponseId("c.1"))),
    ],
)
def test_what_was_named_comes_before_what_was_judged(named: dict[str, str], expected: Blame) -> None:
    assert blame(reversed_talk(), JUDGED, bad=True, at=LATER, **named) == expected  # type: ignore[arg-type]


def reversed_talk() -> list[object]:
    return list(reversed(TALK))


def test_without_a_judge_it_is_the_last_step_before_the_judgement() -> None:
    assert blame(TALK, bad=True, at=LATER) == Blame(Rule.LAST, "refund", "till", ResponseId("c.2"))
    between = "2026-03-01T10:01:30.000+00:00"
    assert blame(TALK, bad=True, at=between).step == "confirm"
    assert blame(TALK, bad=True, at="2026-01-01T00:00:00.000+00:00").step == "refund", "clocks differ: then the last"


def test_users_and_experts_are_no_judges_and_a_judge_may_change_its_mind() -> None:
    others = [said("c", 0.0, response="c.0"), said("c", 0.0, response="c.0", source=Source.EXPERT)]
    assert blame(TALK, others, bad=True, at=LATER).rule is Rule.LAST
    changed = [*JUDGED, said("c", 1.0, response="c.1", source=Source.GRADE, at="2026-03-03T00:00:00.000+00:00")]
    assert blame(TALK, changed, bad=True, at=LATER).step == "refund"


def test_praise_of_a_whole_conversation_is_of_no_single_step() -> None:
    assert blame(TALK, JUDGED, bad=False, at=LATER) == Blame(Rule.WHOLE)
    assert blame([], bad=True, at=LATER) == Blame(Rule.WHOLE)


def test_steps_are_tallied_by_conversations() -> None:
    talks = [
        *talk("a", "find", "refund"),
        *talk("b", "find", "refund"),
        *talk("d", "find", "refund"),
        *talk("e", "find"),
    ]
    heard = [
        said("a", 1.0),  # praise of the whole: both steps
        said("b", 0.0, details={"blame": {"rule": "last"}}, step="refund"),
        said("b", 1.0, at="2026-03-02T01:00:00.000+00:00"),  # beside blame, praise of the whole says of nobody
        said("d", 1.0, response="d.0"),
        said("d", 0.0, response="d.1"),
        said("d", 0.0, response="d.1", by="again"),
        said("e", None),
    ]
    found = tallies(talks, heard)
    refund, find = found["till", "refund"], found["till", "find"]
    assert list(found) == [("till", "refund"), ("till", "find")], "the one that fails most comes first"
    assert (refund.conversations, refund.good, refund.bad) == (3, 1, 2)
    assert (find.conversations, find.good, find.bad) == (4, 2, 0)
    share, low, high = refund.failing
    assert share == pytest.approx(2 / 3)
    assert low == pytest.approx(0.2077, abs=1e-4)
    assert high == pytest.approx(0.9385, abs=1e-4)
    assert tallies(talk("z", "find"), [])["till", "find"].failing == (0.0, 0.0, 1.0)


def test_blame_is_laid_again_once_a_judge_has_spoken() -> None:
    thumb = said("c", 0.0, details={"blame": {"rule": "last"}}, step="refund")
    assert tallies(TALK, [thumb])["till", "refund"].bad == 1
    again = tallies(TALK, [thumb, *JUDGED])
    assert (again["till", "confirm"].bad, again["till", "refund"].bad) == (1, 0)
    named = said("c", 0.0, details={"blame": {"rule": "explicit"}}, step="refund")
    assert tallies(TALK, [named, *JUDGED])["till", "refund"].bad == 1
