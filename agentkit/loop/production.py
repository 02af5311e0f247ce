"""How an agent does in production, step by step, by what people said of its conversations.

Judgements are wrong at times. Where a share `w` of thumbs is the wrong way round, a step that is right at the rate `p`
is praised at `w + (1 - 2w) p`; rates are solved for `p` (`agentkit.measure.corrected`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.collect.feedback.blame import GUESSED, agent_of, rule_of
from agentkit.measure import FAILED, NOT_REACHED, PASSED, accuracy_draws, corrected, coupling, wilson
from agentkit.records import ConversationId, Feedback, FeedbackKind, Source, Target
from agentkit.store import Store

Floats = NDArray[np.float64]
Marks = NDArray[np.int8]
"""Conversation × step: praised is `PASSED`, blamed `FAILED`, not judged `NOT_REACHED`."""
_RESAMPLED = 2000
_LEVEL = 0.95
_BOUNDS = ("estimate", "low", "high")


@dataclass(frozen=True, slots=True)
class StepRate:
    """One step, over all conversations in which it was judged."""

    step: str
    praised: int
    judged: int
    estimate: float
    """Share of conversations in which it was right, corrected for wrong judgements."""
    low: float
    high: float

    def document(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Production:
    """What production says of an agent, or of one target that answers for it."""

    conversations: int
    judged: int
    """Conversations of which a step was judged."""
    whole: int
    """Conversations that were judged as a whole only: of no step is known whether it was right."""
    steps: tuple[StepRate, ...]
    """In the order of their first judgement."""
    compounded: tuple[float, float, float] | None
    """Product of the steps' shares, with its interval; None where no step was judged."""

    def step(self, name: str) -> StepRate | None:
        return next((it for it in self.steps if it.step == name), None)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        compounded = None if self.compounded is None else dict(zip(_BOUNDS, self.compounded, strict=True))
        return {
            "conversations": self.conversations,
            "judged": self.judged,
            "judged_as_a_whole": self.whole,
            "steps": [it.document() for it in self.steps],
            "compounded": compounded,
        }


def production(
    store: Store,
    agent: str,
    *,
    since: str | None = None,
    target: Target | None = None,
    wrong: float = 0.0,
    seed: int = 0,
) -> Production:
    """The agent's conversations since a time, those that `target` answered where it is named.

    `wrong`: share of judgements that are taken to be the wrong way round. Only what end users and the product said of a
    step or an answer of this agent counts: graders and judges have numbers of their own, and blame of a whole
    conversation, which was laid on one step, has no praise that would be its counterpart.

    Raises StoreError.
    """
    chosen = answered_by(target, store, agent, since)
    said = store.feedback(conversations=sorted(chosen), source=Source.USER)
    thumbs = [it for it in said if it.kind is FeedbackKind.THUMB]
    named = [it for it in thumbs if it.step and rule_of(it.details) not in GUESSED]
    own = [it for it in named if agent_of(it.details) in ("", agent)]
    steps, table = _table(own)
    return Production(
        conversations=len(chosen),
        judged=len(table),
        whole=len({it.conversation for it in thumbs} - {it.conversation for it in named}),
        steps=tuple(_rates(steps, table, wrong)),
        compounded=_compounded(table, wrong, seed) if steps else None,
    )


def answered_by(target: Target | None, store: Store, agent: str, since: str | None = None) -> set[ConversationId]:
    """The agent's conversations since a time, those that this target alone answered where it is named."""
    answered: dict[ConversationId, set[Target]] = {}
    for it in store.heads(agent=agent, since=since):
        answered.setdefault(it.conversation, set()).add(it.target)
    return {name for name, by in answered.items() if target is None or by == {target}}


def _table(said: Sequence[Feedback]) -> tuple[list[str], Marks]:
    """Steps, and the last word on each."""
    steps = list(dict.fromkeys(it.step for it in said))
    rows: Mapping[ConversationId, dict[str, int]] = {it.conversation: {} for it in said}
    for it in said:
        rows[it.conversation][it.step] = PASSED if it.value else FAILED
    table = [[row.get(step, NOT_REACHED) for step in steps] for row in rows.values()]
    return steps, np.array(table, dtype=np.int8).reshape(len(rows), len(steps))


def _rates(steps: Sequence[str], table: Marks, wrong: float) -> list[StepRate]:
    found = []
    for step, column in zip(steps, table.T, strict=True):
        praised, judged = int((column == PASSED).sum()), int((column != NOT_REACHED).sum())
        bounds = wilson(praised, judged)
        estimate, low, high = (float(corrected(it, wrong)) for it in (praised / judged, *bounds))
        found.append(StepRate(step, praised, judged, estimate, low, high))
    return found


def _compounded(table: Marks, wrong: float, seed: int) -> tuple[float, float, float]:
    """The product of the corrected shares, and the widest of three intervals: whole conversations drawn again, since
    steps of one conversation hang together; each step's accuracy drawn by what is known of it, since that all are
    praised is no certainty; and what each step's own interval alone makes of the product.

    A drawn share above 1 is luck: at the high end it makes up for others' bad luck.
    """
    draw, tail = np.random.default_rng(seed), (1 - _LEVEL) / 2
    kinds, often = np.unique(table, axis=0, return_counts=True)
    marks = np.hstack([kinds == PASSED, kinds != NOT_REACHED]).astype(float)
    praised, judged = np.split(often @ marks, 2)
    again, had = np.split(draw.multinomial(len(table), often / len(table), _RESAMPLED) @ marks, 2, axis=1)
    resampled = np.where(had > 0, again / np.maximum(had, 1), praised / judged)
    rates, own = corrected(praised / judged, wrong), corrected(wilson(praised, judged), wrong)
    bounds = [float(end) for step in range(len(rates)) for end in np.delete(rates, step).prod() * own[:, step]]
    tied = coupling(table, np.arange(len(table)))
    for drawn in (resampled, accuracy_draws(praised / tied, judged / tied, rng=draw)):
        bounds.append(float(np.quantile(corrected(drawn, wrong).prod(axis=1), tail)))
        bounds.append(float(np.quantile(corrected(drawn, wrong, most=np.inf).prod(axis=1), 1 - tail)))
    estimate = float(rates.prod())
    return estimate, min(estimate, *bounds), min(1.0, max(estimate, *bounds))
