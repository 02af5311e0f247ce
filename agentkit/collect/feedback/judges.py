"""LLM judges of captured answers: a share of the conversations, each answer once for every judge and rubric."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from agentkit.collect.feedback.blame import BAD_BELOW
from agentkit.collect.feedback.sample import chosen
from agentkit.collect.feedback.talk import messages_of
from agentkit.config import LabelSettings
from agentkit.errors import JudgeError, ProviderError
from agentkit.grade import Judge
from agentkit.records import Exchange, Feedback, FeedbackKind, Source
from agentkit.store import Head, Store

_AT_ONCE = 4
"""Answers that are judged at a time."""
_OTHER_WORDS = (
    "",
    "Look for what is wrong before you decide.",
    "Look for what is right before you decide.",
    "Think of what the user needed, and whether this gives it.",
    "Check each fact and each argument of a call against the conversation.",
    "Imagine the best answer at this point, and how far this one falls short of it.",
    "Decide as a careful colleague would who has to act on this answer.",
    "Decide as the user would who has to live with this answer.",
    "Read the conversation from its end to its beginning, then decide.",
)
"""What is added to the rubric at each further reading: at temperature 0 the same words get the same answer."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one sitting of a judge."""

    conversations: int
    """In the sample."""
    asked: int
    """Answers that it read now; those that it had read before are not read again."""
    right: int
    wrong: int
    undecided: int
    """Of which it could not say anything that counts."""
    unreached: int
    """Of which it could not be asked: nothing is recorded, and the next sitting asks again."""


async def judge_sample(
    store: Store,
    judge: Judge,
    share: float,
    since: str | None,
    *,
    settings: LabelSettings | None = None,
    agent: str | None = None,
    step: str | None = None,
    most: int | None = None,
) -> Judged:
    """Let a judge read the answers of a share of the captured conversations, and record what it says.

    Which conversations is decided by their ids: a larger share holds the smaller one. What is recorded names model,
    rubric and its version, and how sure the judge is where it reads more than once (`settings.judge_votes`). An answer
    of which it could say nothing is recorded as a comment without a value.

    Args:
        share: of the conversations, 0 to 1.
        since: RFC 3339; None: all that is kept.
        most: answers that are read at most, newest conversations first.

    Raises:
        BudgetExhausted: as the judge's model raises it; what was said until then is recorded.
    """
    settings = settings or LabelSettings()
    found = store.heads(since=since, agent=agent, step=step)
    sample = [it for it in found if it.answered and chosen("judge", it.conversation, share)]
    known = {it.id for it in store.feedback(source=Source.JUDGE, since=since)}
    due = [it for it in reversed(sample) if _id(judge, _rubric(settings, it), settings, it) not in known][:most]

    async def one(exchange: Exchange) -> Feedback | None:
        said = await _judged(judge, exchange, _rubric(settings, exchange), settings)
        if said is not None:
            await asyncio.to_thread(store.add_feedback, said)
        return said

    said: list[Feedback | None] = []
    for place in range(0, len(due), _AT_ONCE):
        read = (store.exchange(it.id) for it in due[place : place + _AT_ONCE])  # which may be gone by now
        said += await asyncio.gather(*(one(it) for it in read if it is not None))
    values = [it.value for it in said if it is not None]
    return Judged(
        conversations=len({it.conversation for it in sample}),
        asked=len(said),
        right=sum(it is not None and it >= BAD_BELOW for it in values),
        wrong=sum(it is not None and it < BAD_BELOW for it in values),
        undecided=values.count(None),
        unreached=said.count(None),
    )


def version_of(rubric: str, votes: int = 1, manner: str = "") -> str:
    """Twelve hexadecimal digits that change where what the judge is asked does, or how (`Judge.manner`)."""
    asked = [rubric, *_OTHER_WORDS[:votes], *([manner] if manner else [])]
    return sha256("\n".join(asked).encode("utf-8", "replace")).hexdigest()[:12]


def sureness(it: Feedback) -> float | None:
    """How sure a judge was, 0 to 1; None where it read once only, or where it is no judge's."""
    found = (it.details or {}).get("sure")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


async def _judged(judge: Judge, exchange: Exchange, rubric: str, settings: LabelSettings) -> Feedback | None:
    """None where it could not be reached once."""
    votes, reasons, troubles = [], [], []
    reached = False
    conversation = messages_of(exchange)
    for words in _readings(rubric, settings.judge_votes):
        try:
            verdict = await judge.verdict(words, conversation)
        except JudgeError as error:
            troubles.append(str(error))
            reached |= not isinstance(error.__cause__, ProviderError)
            continue
        votes.append(verdict.passed)
        reasons.append((verdict.passed, verdict.reason, verdict.quotation))
    if not votes and not reached:
        return None
    value = sum(votes) / len(votes) if votes else None
    details: dict[str, Any] = {
        "model": judge.model.name,
        "rubric": rubric,
        "version": version_of(rubric, settings.judge_votes, judge.manner),
        "votes": len(votes),
    }
    if troubles:
        details["troubles"] = troubles
    if settings.judge_votes > 1 and value is not None:
        details["sure"] = abs(2 * value - 1) * len(votes) / settings.judge_votes
    kind = FeedbackKind.COMMENT if value is None else FeedbackKind.THUMB if value in (0, 1) else FeedbackKind.SCORE
    told = next(((reason, quoted) for passed, reason, quoted in reasons if passed == ((value or 0) >= BAD_BELOW)), None)
    if told is not None:
        details["quotation"] = told[1]
    return Feedback(
        id=_id(judge, rubric, settings, exchange),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        source=Source.JUDGE,
        by=judge.model.name,
        kind=kind,
        conversation=exchange.conversation,
        response=exchange.id,
        step=exchange.step,
        value=value,
        text=told[0] if told is not None else "; ".join(dict.fromkeys(troubles)),
        details=details,
    )


def _readings(rubric: str, votes: int) -> Iterator[str]:
    return (f"{rubric} {words}".strip() for words in _OTHER_WORDS[:votes])


def _rubric(settings: LabelSettings, exchange: Exchange | Head) -> str:
    return settings.rubrics.get(exchange.step, settings.rubric)


def _id(judge: Judge, rubric: str, settings: LabelSettings, exchange: Exchange | Head) -> str:
    return f"judge/{judge.model.name}/{version_of(rubric, settings.judge_votes, judge.manner)}/{exchange.id}"


def latest(judged: Sequence[Feedback]) -> dict[str, Feedback]:
    """Response → the last that any judge said of it with a value, else the last without."""
    found: dict[str, Feedback] = {}
    for it in judged:
        if it.source is not Source.JUDGE or it.response is None:
            continue
        if it.value is not None or it.response not in found or found[it.response].value is None:
            found[it.response] = it
    return found
