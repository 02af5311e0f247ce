"""Takes in what `POST /v1/feedback` carries: now or days later, once however often sent, and only of one's own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agentkit.collect.feedback.answer import offered, read_answer, same_answer
from agentkit.collect.feedback.blame import BAD_BELOW, GUESSED, Blame, blame, rule_of
from agentkit.collect.feedback.cleaned import Cleaner, project_cleaner
from agentkit.collect.feedback.form import Form, read_form
from agentkit.errors import FeedbackError, near_match
from agentkit.records import Feedback, FeedbackKind, Source
from agentkit.store import Head, Store

Clock = Callable[[], datetime]


def accept(
    store: Store,
    key: str,
    body: Mapping[str, Any],
    *,
    clock: Clock = lambda: datetime.now(UTC),
    cleaner: Cleaner | None = None,
) -> Feedback:
    """Record the judgement in a body, and give it as it is recorded; the same one again where it was sent before.

    Args:
        key: name of the API key that sends it. It may judge what it asked for itself; of all else it learns nothing,
            not even whether it is there.
        body: one of `thumb` ("up", "down"), `score` (0 to 1), `correction` (a text or an assistant message), and a
            `comment` beside it or alone; of a `response`, a `conversation`, or a `step` of either; `id` makes it safe
            to send again.
        cleaner: takes out what may not be kept; the project's own where it is None.

    Raises:
        FeedbackError: with the status of HTTP that says what is wrong: 400, 404, 409 or 413.
        StoreError: the store does not answer.
    """
    form = read_form(body)
    cleaner = cleaner or project_cleaner()
    exchanges = _own(store, key, form)
    conversation = exchanges[0].conversation
    at = clock().astimezone(UTC).isoformat(timespec="milliseconds")
    place = _place(store, form, exchanges, at)
    id = f"{key}/{form.id or f'fb-{secrets.token_hex(12)}'}"
    judgement = Feedback(
        id=id,
        at=at,
        source=Source.USER,
        by=key,
        kind=form.kind,
        conversation=conversation,
        response=place.response if form.kind is FeedbackKind.CORRECTION else form.response,
        step=place.step,
        value=form.value,
        answer=_answer(store, form, place, cleaner),
        text=cleaner.text(form.comment, conversation),
        details={"blame": place.document()},
    )
    if store.add_feedback(judgement):
        return judgement
    known = store.feedback_of(id)
    if known is None:  # forgotten in between, or taken back
        _own(store, key, form)
        raise FeedbackError(409, f"feedback: id: {form.id!r} was taken back; expected a new one")
    if _content(known) != _content(judgement):
        raise FeedbackError(409, f"feedback: id: {form.id!r} is another judgement's already; expected a new one")
    return known


def public_id(it: Feedback) -> str:
    """The id as its sender knows it: in the store, each key has its own."""
    return it.id.rpartition("/")[2]


def receipt(it: Feedback) -> dict[str, Any]:
    """What whoever sent a judgement is told of it, plain JSON: what it is of, and which step it went to."""
    return {
        "id": public_id(it),
        "object": "feedback",
        "created": it.at,
        "kind": it.kind.value,
        "value": it.value,
        "conversation": it.conversation,
        "response": it.response,
        "step": it.step,
        "rule": rule_of(it.details),
    }


def _own(store: Store, key: str, form: Form) -> Sequence[Head]:
    """The conversation's exchanges that this key asked for, the judged response among them."""
    asked = None if form.response is None else next(iter(store.heads(id=form.response)), None)
    if form.response is not None and (asked is None or asked.key != key):
        raise _unknown("response")
    conversation = form.conversation if asked is None else asked.conversation
    if conversation is None or (form.conversation is not None and form.conversation != conversation):
        raise _unknown("conversation")
    own = [it for it in store.heads(conversation=conversation) if it.key == key]
    if not own:
        raise _unknown("conversation" if asked is None else "response")
    return own


def _unknown(field: str) -> FeedbackError:
    """The same words whether it is nobody's, not captured, or somebody else's."""
    return FeedbackError(404, f"feedback: {field}: this key has no such {field}")


def _place(store: Store, form: Form, exchanges: Sequence[Head], at: str) -> Blame:
    steps = {it.step for it in exchanges}
    if form.step and form.step not in steps and "" not in steps:
        raise FeedbackError(
            400, f"feedback: step: no step {form.step[:80]!r} in this conversation{near_match(form.step, steps)}"
        )
    bad = form.value is not None and form.value < BAD_BELOW
    open_question = bad and form.response is None and not form.step
    judged = store.feedback(conversation=exchanges[0].conversation) if open_question else []
    return blame(exchanges, judged, bad=bad, at=at, step=form.step, response=form.response)


def _answer(store: Store, form: Form, place: Blame, cleaner: Cleaner) -> Mapping[str, Any] | None:
    if form.kind is not FeedbackKind.CORRECTION:
        return None
    if form.response is None and not form.step:
        raise FeedbackError(400, "feedback: response: is missing; expected whose answer the correction is, or a `step`")
    meant = None if place.response is None else store.exchange(place.response)
    if meant is None:
        raise FeedbackError(400, "feedback: response: is missing; expected whose answer the correction is")
    tools = offered(meant.request)
    answer: Mapping[str, Any] = read_answer(form.correction, "feedback: correction", tuple(tools))
    answer = cleaner.value(answer, meant.conversation)
    if same_answer(answer, meant.response):
        raise FeedbackError(400, "feedback: correction: is what was answered; expected another answer, or a thumb")
    return answer


def _content(it: Feedback) -> tuple[object, ...]:
    """What the sender said; the time, and a step that was chosen here, are no part of it."""
    chosen = rule_of(it.details) in GUESSED
    return it.kind, it.conversation, it.response, it.value, it.answer, it.text, "" if chosen else it.step
