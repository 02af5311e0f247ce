"""The body of `POST /v1/feedback`, read: what is judged, and the one judgement in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.collect.feedback.answer import shown
from agentkit.errors import FeedbackError, near_match
from agentkit.records import ConversationId, FeedbackKind, ResponseId

FIELDS = ("id", "response", "conversation", "step", "thumb", "score", "correction", "comment")
LONGEST_TEXT = 10_000
"""Characters of a comment."""
_LONGEST_NAME = 256
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_THUMBS: Mapping[Any, float] = {"up": 1.0, "down": 0.0, 1: 1.0, 0: 0.0}


@dataclass(frozen=True, slots=True)
class Form:
    """A judgement as it was sent."""

    id: str | None
    """The caller's own, so that sending it twice counts once."""
    response: ResponseId | None
    conversation: ConversationId | None
    step: str
    """Empty where the caller named none."""
    kind: FeedbackKind
    value: float | None
    correction: Any
    """Not checked yet: what was offered to the model is not known here."""
    comment: str


def read_form(body: Any) -> Form:
    """The judgement in a body.

    Raises:
        FeedbackError: 400 with field, found and expected, 413 for a comment that is too long.
    """
    if not isinstance(body, Mapping):
        raise FeedbackError(400, f"feedback: found {shown(body)}, expected an object with {', '.join(FIELDS)}")
    for name in body:
        if name not in FIELDS:
            raise FeedbackError(400, f"feedback: {shown(name)}: is unknown{near_match(str(name)[:80], FIELDS)}")
    given = {name: value for name, value in body.items() if value is not None}
    response, conversation = _name(given, "response"), _name(given, "conversation")
    if response is None and conversation is None:
        raise FeedbackError(400, "feedback: response: is missing; expected the id of a response, or a `conversation`")
    comment = _comment(given)
    kind, value = _judgement(given)
    return Form(
        id=_id(given),
        response=None if response is None else ResponseId(response),
        conversation=None if conversation is None else ConversationId(conversation),
        step=_name(given, "step") or "",
        kind=kind,
        value=value,
        correction=given.get("correction"),
        comment=comment,
    )


def _judgement(given: Mapping[str, Any]) -> tuple[FeedbackKind, float | None]:
    said = [name for name in ("thumb", "score", "correction") if name in given]
    if len(said) > 1:
        raise FeedbackError(400, f"feedback: found {' and '.join(said)}, expected one of them (send two judgements)")
    match said:
        case ["thumb"]:
            return FeedbackKind.THUMB, _thumb(given["thumb"])
        case ["score"]:
            return FeedbackKind.SCORE, _score(given["score"])
        case ["correction"]:
            return FeedbackKind.CORRECTION, 0.0  # whoever says what would have been right says that this was not
    if not given.get("comment"):
        raise FeedbackError(400, "feedback: holds no judgement; expected a thumb, a score, a correction or a comment")
    return FeedbackKind.COMMENT, None


def _thumb(value: Any) -> float:
    if not isinstance(value, str | int) or value not in _THUMBS:  # True is 1, False is 0
        raise FeedbackError(400, f"feedback: thumb: found {shown(value)}, expected 'up' or 'down'")
    return _THUMBS[value]


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise FeedbackError(400, f"feedback: score: found {shown(value)}, expected a number from 0 to 1")
    return float(value)


def _comment(given: Mapping[str, Any]) -> str:
    value = given.get("comment", "")
    if not isinstance(value, str):
        raise FeedbackError(400, f"feedback: comment: found {shown(value)}, expected a text")
    if len(value) > LONGEST_TEXT:
        raise FeedbackError(413, f"feedback: comment: has {len(value):,} characters, expected at most {LONGEST_TEXT:,}")
    return value


def _name(given: Mapping[str, Any], field: str) -> str | None:
    value = given.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME:
        raise FeedbackError(
            400, f"feedback: {field}: found {shown(value)}, expected a text of 1 to {_LONGEST_NAME} characters"
        )
    return value


def _id(given: Mapping[str, Any]) -> str | None:
    value = given.get("id")
    if value is None or (isinstance(value, str) and _ID.fullmatch(value)):
        return value
    raise FeedbackError(
        400,
        f"feedback: id: found {shown(value)}, expected 1 to 128 letters, digits and .:_-",
    )
