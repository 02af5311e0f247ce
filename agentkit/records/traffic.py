"""What passed through the router, and what people and judges said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType

from agentkit.records.conversation import Usage
from agentkit.records.routing import Arm, ConversationId, Target

ResponseId = NewType("ResponseId", str)
"""As the router gave it to its caller (`chatcmpl-…`); feedback names it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to the router and what came of it."""

    id: ResponseId
    conversation: ConversationId
    at: str
    """RFC 3339, UTC; when the request came in."""
    key: str
    """Name of the API key that asked; never the key."""
    agent: str
    step: str
    """As the caller named them; empty where it did not."""
    revision: int
    arm: Arm
    target: Target
    """What answered in the end."""
    replica: str
    """Which engine or upstream that was."""
    model: str
    """As the upstream names it."""
    request: Mapping[str, Any]
    """The body in the Chat Completions form (`messages`, `tools`, sampling), redacted."""
    response: Mapping[str, Any] | None
    """The assistant's message, joined where it was streamed, redacted; None where there was none."""
    status: int
    """Of HTTP, as the caller got it."""
    error: str | None = None
    """In words, where it failed or broke off."""
    finish_reason: str | None = None
    usage: Usage = Usage()
    latency: float = 0.0
    """Seconds from the request to the last byte."""
    first_token: float | None = None
    """Seconds to the first streamed piece; None where it was not streamed."""
    attempts: int = 1
    user: str | None = None
    """The end user's pseudonym, HMAC-SHA256 of what the caller gave; None where it gave none."""
    trace_id: str | None = None
    span_id: str | None = None


class Source(StrEnum):
    """Who judged."""

    USER = "user"
    """The end user, or the product on their behalf."""
    EXPERT = "expert"
    """Somebody at the label page."""
    JUDGE = "judge"
    """An LLM."""
    GRADE = "grade"
    """A grader of the scenarios."""


class FeedbackKind(StrEnum):
    """The form of a judgement."""

    THUMB = "thumb"
    """`value` 1 or 0."""
    SCORE = "score"
    """`value` from 0 to 1."""
    CORRECTION = "correction"
    """`answer` holds what should have been said."""
    COMMENT = "comment"
    """`text` only."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One judgement of a response, a step or a conversation; now or days later."""

    id: str
    at: str
    """RFC 3339, UTC."""
    source: Source
    by: str
    """Name of the API key, expert, judge or grader."""
    kind: FeedbackKind
    conversation: ConversationId
    response: ResponseId | None = None
    """None where the whole conversation is meant."""
    step: str = ""
    """The step that is blamed or praised; empty where nobody said."""
    value: float | None = None
    """0 bad to 1 good."""
    answer: Mapping[str, Any] | None = None
    """The assistant message that would have been right, in the Chat Completions form."""
    text: str = ""
    """A comment or a reason, in words."""
    details: Mapping[str, Any] | None = None
    """Of a judge: its model, rubric and version. Plain JSON."""
