"""How far experts agree with each other and with the LLM judge, over the answers that were drawn by lot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from agentkit.collect.feedback.blame import BAD_BELOW
from agentkit.collect.feedback.judges import latest
from agentkit.collect.labels.drift import Window, drift
from agentkit.collect.labels.kappa import Kappa, kappa_of
from agentkit.collect.labels.label import verdicts
from agentkit.records import Feedback, ResponseId

FEWEST = 10
"""Answers below which an agreement says next to nothing."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the labels say about those who gave them."""

    experts: Kappa
    """Of all pairs of experts together; of each pair, the one whose name comes first in the alphabet is the first."""
    pairs: Mapping[tuple[str, str], Kappa]
    judge: Kappa
    """Of the experts (the first) with the judge; where experts are split over an answer, it is left out."""
    windows: tuple[Window, ...]
    labels: Mapping[str, int]
    """Expert → answers judged, those that were not drawn by lot included."""

    @property
    def drifted(self) -> bool:
        """Whether there was a window in which the judge agreed with the experts less than before."""
        return any(it.fell for it in self.windows)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "labels": dict(self.labels),
            "experts": self.experts.document(),
            "pairs": [{"experts": list(names), **it.document()} for names, it in self.pairs.items()],
            "judge": self.judge.document(),
            "drift": {"fell": self.drifted, "windows": [it.document() for it in self.windows]},
        }


def agreement(said: Sequence[Feedback], lots: Collection[ResponseId], window: int) -> Agreement:
    """Over all that was said of the answers drawn by lot (`lots`).

    Args:
        window: answers in each window of the judge's drift.
    """
    labels = verdicts(said)
    both: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    for response in labels.keys() & set(lots):
        own = {expert: _right(it) for expert, it in labels[response].items()}
        for first, second in combinations(sorted(own), 2):
            both[first, second].append((own[first], own[second]))
    beside = list(_beside_judge(said, labels, lots))
    counts: dict[str, int] = defaultdict(int)
    for given in labels.values():
        for expert in given:
            counts[expert] += 1
    return Agreement(
        experts=kappa_of(pair for pairs in both.values() for pair in pairs),
        pairs={names: kappa_of(both[names]) for names in sorted(both)},
        judge=kappa_of((expert, judge) for _, expert, judge in beside),
        windows=drift(beside, window),
        labels=dict(sorted(counts.items())),
    )


def settled(labels: Mapping[str, Feedback]) -> bool | None:
    """What the experts say of an answer; None where as many find it right as wrong."""
    right = sum(map(_right, labels.values()))
    wrong = len(labels) - right
    return None if right == wrong else right > wrong


def _beside_judge(
    said: Sequence[Feedback], labels: Mapping[ResponseId, Mapping[str, Feedback]], lots: Collection[ResponseId]
) -> Iterator[tuple[str, bool, bool]]:
    judged = latest(said)
    for response in labels.keys() & set(lots):
        it, verdict = judged.get(response), settled(labels[response])
        if it is not None and it.value is not None and verdict is not None:
            yield it.at, verdict, _right(it)


def _right(it: Feedback) -> bool:
    return it.value is not None and it.value >= BAD_BELOW
