"""One expert's verdict on one captured answer: given, taken back, read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from agentkit.collect.feedback.answer import offered, read_answer, same_answer
from agentkit.collect.feedback.cleaned import Cleaner, project_cleaner
from agentkit.collect.feedback.form import LONGEST_TEXT
from agentkit.collect.labels.fits import misfit
from agentkit.errors import FeedbackError
from agentkit.records import Exchange, Feedback, FeedbackKind, ResponseId, Source
from agentkit.store import Store


class Mark(StrEnum):
    """What an expert says of an answer."""

    RIGHT = "right"
    WRONG = "wrong"
    BETTER = "better"
    """Wrong, and this would have been right."""
    SKIP = "skip"
    """The expert cannot say."""


_KINDS: Mapping[Mark, tuple[FeedbackKind, float | None]] = {
    Mark.RIGHT: (FeedbackKind.THUMB, 1.0),
    Mark.WRONG: (FeedbackKind.THUMB, 0.0),
    Mark.BETTER: (FeedbackKind.CORRECTION, 0.0),
    Mark.SKIP: (FeedbackKind.COMMENT, None),
}


def add_label(
    store: Store,
    expert: str,
    exchange: Exchange,
    mark: Mark,
    *,
    answer: Any = None,
    comment: str = "",
    cleaner: Cleaner | None = None,
) -> Feedback:
    """Record what an expert says of an answer. The same again changes nothing.

    Args:
        answer: with `better`: a text or an assistant message.
        cleaner: takes out what may not be kept; the project's own where it is None.

    Raises:
        FeedbackError: 400 where the better answer is none, is the one that was given, or does not fit what the caller
            demanded; 404 where the answer is gone, as its user was forgotten meanwhile; 409 where this expert has said
            something else of it (undo that first); 413 for too long a text.
    """
    if len(comment) > LONGEST_TEXT:
        raise FeedbackError(413, f"comment: has {len(comment):,} characters, expected at most {LONGEST_TEXT:,}")
    cleaner = cleaner or project_cleaner()
    kind, value = _KINDS[mark]
    label = Feedback(
        id=_id(expert, exchange.id),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        source=Source.EXPERT,
        by=expert,
        kind=kind,
        conversation=exchange.conversation,
        response=exchange.id,
        step=exchange.step,
        value=value,
        answer=_better(exchange, answer, cleaner) if mark is Mark.BETTER else None,
        text=cleaner.text(comment.strip(), exchange.conversation),
        details={"mark": mark.value},
    )
    if store.add_feedback(label):
        return label
    known = store.feedback_of(label.id)
    if known is None and store.exchange(exchange.id) is None:
        raise FeedbackError(404, f"the answer {exchange.id} is gone: it was deleted, or its user was forgotten")
    if known is None or (known.kind, known.value, known.answer) != (kind, value, label.answer):
        raise FeedbackError(409, f"you have judged this answer before ({mark_of(known)}); undo that first")
    return known


def undo(store: Store, expert: str) -> Feedback | None:
    """Take back the last that an expert said, and give it; None where there is nothing."""
    own = [it for it in store.feedback(source=Source.EXPERT, by=expert) if it.response is not None]
    while own:
        last = own.pop()
        if store.withdraw_feedback(last.id, by=expert):
            return last
    return None


def mark_of(label: Feedback | None) -> str:
    """The word for what was said."""
    return str(((label.details if label else None) or {}).get("mark", "gone"))


def verdicts(feedback: Sequence[Feedback]) -> dict[ResponseId, dict[str, Feedback]]:
    """Response → expert → what that one says of it; those who could not say are left out."""
    found: dict[ResponseId, dict[str, Feedback]] = defaultdict(dict)
    for it in feedback:
        if it.source is Source.EXPERT and it.response is not None and it.value is not None:
            found[it.response][it.by] = it
    return dict(found)


def _better(exchange: Exchange, answer: Any, cleaner: Cleaner) -> Mapping[str, Any]:
    found = read_answer(answer, "better answer", tuple(offered(exchange.request)))
    clean: Mapping[str, Any] = cleaner.value(found, exchange.conversation)
    if same_answer(clean, exchange.response):
        raise FeedbackError(400, "better answer: is the one that was given; expected another, or `right`")
    if problem := misfit(found, exchange.request):
        raise FeedbackError(400, f"better answer: {problem}")
    return clean


def _id(expert: str, response: ResponseId) -> str:
    return f"label/{expert}/{response}"
