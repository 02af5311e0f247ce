"""What the judge of a canary says, with the figures that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agentkit.records import Target


class CanaryVerdict(StrEnum):
    """Where a canary stands."""

    ROLL_BACK = "roll_back"
    """It is worse: there is an alarm."""
    CLEAN = "clean"
    """Enough conversations were judged on either side, a drop of the margin is ruled out, and there is no alarm."""
    GOING = "going"
    """Neither."""


@dataclass(frozen=True, slots=True)
class Side:
    """One arm by one criterion."""

    good: int
    known: int
    """Conversations."""

    @property
    def rate(self) -> float | None:
        return self.good / self.known if self.known else None


@dataclass(frozen=True, slots=True)
class CriterionFigures:
    """One criterion so far."""

    name: str
    """`feedback`, `step`, `errors` or `latency`."""
    live: Side
    canary: Side
    difference: float | None
    """Share of good conversations, the canary's less the live arm's, weighted over revisions by the canary's; None
    where one side has none."""
    low: float
    high: float
    """Of the difference: confidence sequence at 1 - alpha, from the blocks."""
    blocks: int
    e_value: float
    """The greatest so far against "no difference", by bets that the canary is worse."""
    needed: float
    """The e-value that is an alarm, where the drop counts."""
    minimum: float
    """A drop that counts is greater."""
    limit: float | None = None
    """Seconds above which a request is slow; None for the other criteria, and before it is known."""
    of: str = ""
    """The step that `step` is about."""

    @property
    def alarm(self) -> bool:
        return self.e_value >= self.needed and self.difference is not None and self.difference < -self.minimum

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        sides = {
            name: {"good": it.good, "known": it.known} for name, it in (("live", self.live), ("canary", self.canary))
        }
        names = ("difference", "low", "high", "blocks", "e_value", "needed", "minimum", "limit", "of", "alarm")
        return {"name": self.name, **sides, **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A canary judged by all that is known by now."""

    verdict: CanaryVerdict
    reasons: tuple[str, ...]
    """In words, the most important first."""
    agent: str
    step: str
    target: Target
    since: str
    """RFC 3339, UTC; when the canary began."""
    revisions: tuple[int, ...]
    """Those under which it ran, the first first."""
    criteria: tuple[CriterionFigures, ...]
    no_worse: float
    """The greatest e-value so far against "the rate of good conversations dropped by the margin or more"."""
    no_worse_needed: float
    min_graded: int
    margin: float
    """As it is measured: shrunk by what wrong judgements shrink differences."""

    @property
    def feedback(self) -> CriterionFigures:
        return self.criteria[0]

    @property
    def sentence(self) -> str:
        return f"{self.verdict.value.replace('_', ' ')}: {self.reasons[0]}"

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "verdict": self.verdict.value,
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "agent": self.agent,
            "step": self.step,
            "target": {"kind": self.target.kind.value, "name": self.target.name},
            "since": self.since,
            "revisions": list(self.revisions),
            "criteria": [it.document() for it in self.criteria],
            "no_worse": self.no_worse,
            "no_worse_needed": self.no_worse_needed,
            "min_graded": self.min_graded,
            "margin": self.margin,
        }
