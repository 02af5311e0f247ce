"""What people's judgements teach, as plain records: answers that were liked or not, and better ones beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.collect.feedback.blame import BAD_BELOW
from agentkit.collect.labels.agreement import settled
from agentkit.collect.provenance import Origin
from agentkit.records import ConversationId, Exchange, Feedback, FeedbackKind, ResponseId, Source

PEOPLE = (Source.EXPERT, Source.USER)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A captured answer, and what people make of it."""

    response: ResponseId
    conversation: ConversationId
    agent: str
    step: str
    request: Mapping[str, Any]
    """In the Chat Completions form."""
    given: Mapping[str, Any]
    """The assistant message that was answered."""
    right: bool | None
    """None where those who judged it are split."""
    better: tuple[Mapping[str, Any], ...]
    """Assistant messages that would have been right, the experts' before the users', without repetitions."""
    by: Source
    """Whose word decided: where an expert judged, no user's thumb counts."""
    judges: int
    """How many of those there are."""
    user: str | None
    """The end user's pseudonym, so that what was learned of whom can be told."""

    @property
    def origin(self) -> Origin:
        """What a row that is made of it was made of."""
        return Origin(self.response, self.conversation, self.user)


def judgements(
    exchanges: Iterable[Exchange], said: Sequence[Feedback], sources: Collection[Source] = PEOPLE
) -> list[Judgement]:
    """One for each captured answer that somebody judged by itself, in the order of the exchanges.

    Judgements of a whole conversation are not among them: they do not say that this answer was wrong.
    """
    of: dict[ResponseId, list[Feedback]] = defaultdict(list)
    for it in said:
        if it.source in sources and it.response is not None and it.value is not None:
            of[it.response].append(it)
    return [_judgement(it, of[it.id]) for it in exchanges if it.id in of and it.response is not None]


def _judgement(exchange: Exchange, said: Sequence[Feedback]) -> Judgement:
    by = Source.EXPERT if any(it.source is Source.EXPERT for it in said) else said[0].source
    ordered = sorted(said, key=lambda it: it.source is not Source.EXPERT)
    return Judgement(
        response=exchange.id,
        conversation=exchange.conversation,
        agent=exchange.agent,
        step=exchange.step,
        request=exchange.request,
        given=exchange.response or {},
        right=_right([it for it in said if it.source is by]),
        better=tuple(_different(it.answer for it in ordered if it.kind is FeedbackKind.CORRECTION)),
        by=by,
        judges=sum(it.source is by for it in said),
        user=exchange.user,
    )


def _right(said: Sequence[Feedback]) -> bool | None:
    """An expert counts once; a user's key stands for many users, and each of its judgements counts."""
    if said[0].source is Source.EXPERT:
        return settled({it.by: it for it in said})
    right = sum(it.value is not None and it.value >= BAD_BELOW for it in said)
    return None if 2 * right == len(said) else 2 * right > len(said)


def _different(answers: Iterable[Mapping[str, Any] | None]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for it in answers:
        if it is not None and it not in found:
            found.append(it)
    return found
