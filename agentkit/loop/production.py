"""How an agent does in production, step by step, by what people said of its conversations.

Judgements are wrong at times. Where a share `w` of thumbs is the wrong way round, a step that is right at the rate `p`
is praised at `w + (1 - 2w) p`; solved for `p` that is the estimator of Rogan and Gladen (1978).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.collect.feedback.blame import Rule, agent_of, rule_of
from agentkit.measure import wilson
from agentkit.records import ConversationId, Exchange, Feedback, FeedbackKind, Source, Target
from agentkit.store import Store

Floats = NDArray[np.float64]
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
    chosen = _conversations(store.exchanges(agent=agent, since=since), target)
    said = store.feedback(conversations=sorted(chosen), source=Source.USER)
    thumbs = [it for it in said if it.kind is FeedbackKind.THUMB]
    named = [it for it in thumbs if it.step and rule_of(it.details) not in (Rule.JUDGED, Rule.LAST)]
    own = [it for it in named if agent_of(it.details) in ("", agent)]
    steps, table = _table(own)
    return Production(
        conversations=len(chosen),
        judged=len(table),
        whole=len({it.conversation for it in thumbs} - {it.conversation for it in named}),
        steps=tuple(_rates(steps, table, wrong)),
        compounded=_compounded(table, wrong, seed) if steps else None,
    )


def _conversations(exchanges: Sequence[Exchange], target: Target | None) -> set[ConversationId]:
    """Those that one target alone answered."""
    answered: dict[ConversationId, set[Target]] = {}
    for it in exchanges:
        answered.setdefault(it.conversation, set()).add(it.target)
    return {name for name, by in answered.items() if target is None or by == {target}}


def _table(said: Sequence[Feedback]) -> tuple[list[str], Floats]:
    """Steps, and conversation × step: 1 praised, 0 blamed, NaN not judged; the last word counts."""
    steps = list(dict.fromkeys(it.step for it in said))
    rows: Mapping[ConversationId, dict[str, float]] = {it.conversation: {} for it in said}
    for it in said:
        if it.value is not None:
            rows[it.conversation][it.step] = float(it.value >= 0.5)
    table = [[row.get(step, np.nan) for step in steps] for row in rows.values()]
    return steps, np.array(table).reshape(len(rows), len(steps))


def _rates(steps: Sequence[str], table: Floats, wrong: float) -> list[StepRate]:
    found = []
    for place, step in enumerate(steps):
        column = table[~np.isnan(table[:, place]), place]
        praised, judged = int(column.sum()), len(column)
        bounds = wilson(praised, judged)
        estimate, low, high = (_corrected(it, wrong) for it in (praised / judged, *map(float, bounds)))
        found.append(StepRate(step, praised, judged, estimate, low, high))
    return found


def _compounded(table: Floats, wrong: float, seed: int) -> tuple[float, float, float]:
    """The product of the corrected shares; whole conversations are drawn again for its interval."""
    draw = np.random.default_rng(seed)
    picked = draw.integers(0, len(table), (_RESAMPLED, len(table)))
    with np.errstate(invalid="ignore"):
        drawn = np.array([_product(table[rows], wrong) for rows in picked])
    low, high = np.nanquantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return _product(table, wrong), float(low), float(high)


def _product(table: Floats, wrong: float) -> float:
    judged = ~np.isnan(table)
    counts = judged.sum(0)
    rates = np.where(judged, table, 0).sum(0)[counts > 0] / counts[counts > 0]
    return float(np.prod([_corrected(float(rate), wrong) for rate in rates]))


def _corrected(rate: float, wrong: float) -> float:
    return min(1.0, max(0.0, (rate - wrong) / (1 - 2 * wrong)))
