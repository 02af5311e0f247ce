"""From requests and judgements to outcomes: of each conversation one, in the order in which they came in.

What the evidence rests on is the first judgement of a conversation, whenever that comes, and its first request at the
step: what is said or done later cannot change a bet that was settled. Rates are shown with all that is known by now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from agentkit.collect.feedback.blame import GUESSED, rule_of
from agentkit.records import Arm, ConversationId, FeedbackKind, Source
from agentkit.serve.canary.blocks import Outcome
from agentkit.serve.status import GONE, is_failed, is_of_the_caller
from agentkit.store import SeenExchange, SeenLabel

GOOD = 0.5
"""A judgement of this much or more is good."""
_TRUST = (Source.EXPERT, Source.GRADE, Source.JUDGE, Source.USER)
"""Of several who judged a conversation, the first of these has the word."""


@dataclass(slots=True)
class _Talk:
    """A conversation with a request at the step."""

    revision: int
    arm: Arm
    began: str
    """When its first request at the step came in; RFC 3339, UTC."""
    steps: set[str] = field(default_factory=set)
    said: dict[bool, dict[Source, dict[str, float]]] = field(default_factory=dict)
    """About the step itself or about the whole → source → who → the last value."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One criterion's, in order, and the same with all that is known by now."""

    first: tuple[Outcome, ...]
    now: tuple[Outcome, ...]


def graded(exchanges: Sequence[SeenExchange], labels: Sequence[SeenLabel]) -> Outcomes:
    """Conversations that somebody judged: good or bad.

    A judgement counts that is of a response at the step, of the step by name, or of the whole conversation, whichever
    step that was laid on; those of the step go before those of the whole.
    """

    def special(label: SeenLabel, talk: _Talk) -> bool | None:
        step = _named(label)
        if label.response is not None or (bool(step) and step in talk.steps):
            return True
        return None if step else False

    return _judged(exchanges, labels, special)


def graded_at(step: str, exchanges: Sequence[SeenExchange], labels: Sequence[SeenLabel]) -> Outcomes:
    """Conversations of which somebody judged this one step: by its name, or a response that was asked for at it."""
    here = {it.id for it in exchanges if it.step == step}
    return _judged(
        exchanges, labels, lambda label, _: True if _named(label) == step or label.response in here else None
    )


def _judged(
    exchanges: Sequence[SeenExchange],
    labels: Sequence[SeenLabel],
    special: Callable[[SeenLabel, _Talk], bool | None],
) -> Outcomes:
    """`special` says whether a judgement is of the step (True) or of the whole conversation; None where it is of
    something else. What is of an earlier answer, or was said before the conversation came here, says nothing of who
    answers it now."""
    talks, first = _talks(exchanges), list[Outcome]()
    here = {it.id for it in exchanges}
    for label in labels:
        talk, value = talks.get(label.conversation), _value(label)
        if talk is None or value is None:
            continue
        is_here = label.at >= talk.began if label.response is None else label.response in here
        if not is_here or (own := special(label, talk)) is None:
            continue
        if not talk.said:
            first.append(Outcome(talk.revision, talk.arm, value >= GOOD))
        talk.said.setdefault(own, {}).setdefault(label.source, {})[label.by] = value
    now = (Outcome(it.revision, it.arm, _settled(it) >= GOOD) for it in talks.values() if it.said)
    return Outcomes(tuple(first), tuple(now))


def answered(exchanges: Sequence[SeenExchange]) -> Outcomes:
    """Whether conversations' requests were answered, neither failed nor turned away for want of room (429); what the
    caller itself did wrong or broke off (the other 4xx) counts neither way."""
    known = [it for it in exchanges if not is_of_the_caller(it.status)]
    return _of_requests(known, [not _failed(it) for it in known])


def quick(exchanges: Sequence[SeenExchange], limit: float) -> Outcomes:
    """Whether conversations' requests took `limit` seconds at most: those that were answered, and those whose caller
    hung up after a longer wait. Who hung up sooner says nothing."""
    known = [it for it in exchanges if _is_answer(it) or (it.status == GONE and it.latency > limit)]
    return _of_requests(known, [it.latency <= limit for it in known])


def _named(label: SeenLabel) -> str:
    """The step that whoever judged meant; empty where they meant the whole conversation."""
    return "" if rule_of(label.details) in GUESSED else label.step


def _is_answer(it: SeenExchange) -> bool:
    return it.status < 400 and it.error is None


def _failed(it: SeenExchange) -> bool:
    return is_failed(it.status) or it.error is not None


def _of_requests(known: Sequence[SeenExchange], good: Sequence[bool]) -> Outcomes:
    first: dict[ConversationId, Outcome] = {}
    worst: dict[ConversationId, bool] = defaultdict(lambda: True)
    for it, fine in zip(known, good, strict=True):
        first.setdefault(it.conversation, Outcome(it.revision, it.arm, fine))
        worst[it.conversation] &= fine
    now = (Outcome(it.revision, it.arm, worst[talk]) for talk, it in first.items())
    return Outcomes(tuple(first.values()), tuple(now))


def _talks(exchanges: Sequence[SeenExchange]) -> dict[ConversationId, _Talk]:
    talks: dict[ConversationId, _Talk] = {}
    for it in exchanges:
        talks.setdefault(it.conversation, _Talk(it.revision, it.arm, it.at)).steps.add(it.step)
    return talks


def _value(label: SeenLabel) -> float | None:
    """0 bad to 1 good; a correction says that the answer was wrong."""
    if label.value is None and label.kind is FeedbackKind.CORRECTION:
        return 0.0
    return label.value


def _settled(talk: _Talk) -> float:
    said = talk.said.get(True) or talk.said[False]
    source = next((it for it in _TRUST if it in said), next(iter(said)))
    return fmean(said[source].values())
