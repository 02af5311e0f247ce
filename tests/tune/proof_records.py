"""Plays of one agent on a suite of one scenario with detours, whose true accuracies are known.

What an instance draws for a step is the same whoever plays it, so two agents of equal accuracy do the same, and a
better one mends some of the other's failures. All variants of an instance share its draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from agentkit.gate import Recorded
from tests.gate.gate_records import played, record

STEPS: Mapping[str, tuple[str, ...]] = {
    "golden": ("find_sale", "refund", "say_amount"),
    "poem": ("find_sale", "refund", "say_amount", "no_poem"),
    "cash": ("find_sale", "refund", "say_amount", "card_only"),
}
SKILLS = {"find_sale": "verify", "refund": "refund", "say_amount": "report", "no_poem": "scope", "card_only": "policy"}
ACCURACY = {"find_sale": 0.9, "refund": 0.4, "say_amount": 0.8, "no_poem": 0.6, "card_only": 0.7}
FIRST_INSTANCE = 1_000


@dataclass(frozen=True)
class Plays:
    """How one agent plays."""

    accuracy: Mapping[str, float] = field(default_factory=dict)
    """Of steps that differ from `ACCURACY`."""
    instances: int = 100
    detours: int = 100
    """Instances of every variant but the golden one."""
    seed: int = 0
    noise: float = 0.0
    """Share of results that are drawn anew by this agent."""


def recorded_plays(agent: str, plays: Plays, scenario: str = "shop/refund") -> Recorded:
    """The record of one run."""
    accuracy = ACCURACY | dict(plays.accuracy)
    shared, own = np.random.default_rng(plays.seed), np.random.default_rng([plays.seed, *agent.encode()])
    drawn = {step: shared.random(plays.instances) for step in ACCURACY}
    cells = []
    for variant, steps in STEPS.items():
        n = plays.instances if variant == "golden" else plays.detours
        grades = np.empty((n, len(steps)), dtype=np.int8)
        for k, step in enumerate(steps):
            anew = own.random(n) < plays.noise
            grades[:, k] = np.where(anew, own.random(n), drawn[step][:n]) < accuracy[step]
        cells.append(
            played(
                grades.tolist(),
                scenario=scenario,
                variant=variant,
                steps=steps,
                skills=tuple(SKILLS[step] for step in steps),
                instances=range(FIRST_INSTANCE, FIRST_INSTANCE + n),
            )
        )
    return record(*cells, agent=agent)


def before_and_after(**after: float) -> tuple[Recorded, Recorded]:
    """A base agent and one whose accuracy differs at some steps, on 100 instances of every variant."""
    return recorded_plays("base", Plays()), recorded_plays("tuned", Plays(after))
