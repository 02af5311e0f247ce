"""Before spending: how many pairs each step will have on the held-out instances, and what these can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.errors import UsageError, near_match
from agentkit.gate import non_inferiority_power, plan_drop
from agentkit.gate.wording import percent, points
from agentkit.scenario import Loaded

DISCORDANCE = 0.10
"""Share of pairs taken to differ where nothing was seen of them yet."""
ALIKE = 0.5
"""How alike two variants of one instance are taken to be: the correlation of their changes."""


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one step of one scenario will have."""

    scenario: str
    step: str
    skill: str | None
    variants: tuple[str, ...]
    """In which it is played."""
    pairs: int
    effective: float
    """Independent pairs that are worth as much, given how alike the variants of an instance are."""
    power: float
    """Chance that the step rules out the margin if it does not change."""


@dataclass(frozen=True, slots=True)
class ProofPlan:
    """What the certificate can show with so many held-out instances."""

    instances: int
    """Held-out instances of the variant that has most, played before and after."""
    conversations: int
    """Before and after together."""
    margin: float
    discordance: float
    target: tuple[StepPlan, ...]
    others: tuple[StepPlan, ...]
    rare: tuple[StepPlan, ...]
    """Other steps with too few pairs to be judged alone."""
    min_pairs: int
    together: float
    """Chance that all steps that are judged alone rule out the margin, were they independent."""
    gain: float | None
    """Smallest gain at the target that is found with a chance of 80 %; None where no gain is."""

    def sentences(self) -> tuple[str, ...]:
        """What to say before anything is spent."""
        said = [
            f"{self.instances:,} held-out instances, before and after: {self.conversations:,} conversations",
            "the target cannot be shown to gain anything with these"
            if self.gain is None
            else f"a gain of {points(self.gain)} at the target is found with a chance of 80 %",
        ]
        if self.others:
            least = min(self.others, key=lambda it: it.power)
            said.append(
                f"{_count(len(self.others), 'other step')} with {self.min_pairs} pairs or more; where nothing changed, "
                f"a drop of {points(self.margin)} is ruled out with a chance of {percent(round(least.power, 3))} each "
                f"or better, {percent(round(self.together, 3))} for all of them, if {percent(self.discordance)} of "
                "pairs differ"
            )
        if self.rare:
            named = ", ".join(f"{it.step} ({it.pairs})" for it in self.rare[:5]) + " …" * (len(self.rare) > 5)
            said.append(
                f"{_count(len(self.rare), 'step')} with fewer pairs, pooled by skill and then all together, and "
                f"blocking alone only where shown to be worse: {named}"
            )
        return tuple(said)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        shown = {name: getattr(self, name) for name in self.__slots__ if name not in ("target", "others", "rare")}
        steps = {
            name: [{field: getattr(it, field) for field in it.__slots__} for it in getattr(self, name)]
            for name in ("target", "others", "rare")
        }
        return shown | steps | {"sentences": list(self.sentences())}


def plan_proof(
    scenarios: Sequence[Loaded],
    target: str,
    instances: int | Mapping[str, int],
    *,
    variants: Mapping[str, Sequence[str]] | None = None,
    base: float = 0.5,
    margin: float = 0.10,
    alpha: float = 0.05,
    min_pairs: int = 100,
    discordance: float = DISCORDANCE,
    alike: float = ALIKE,
) -> ProofPlan:
    """Count pairs and power. `target` is a step's id or `skill:NAME`, `variants` what is played of each scenario (all
    its own where none is named), `base` the target's accuracy now. `instances` are played in each variant; or it says
    how many are played of each `scenario/variant`, and what it leaves out is not played.

    Raises UsageError where there is nothing to play, or the target is no step.
    """
    counts = _counts(scenarios, instances, variants or {})
    if not counts or min(counts.values()) < 1:
        raise UsageError(f"held-out instances: found {instances}, expected 1 or more")
    found = [
        _step(scenario.id, step, skill, where, discordance, alike, margin, alpha)
        for scenario in scenarios
        for (step, skill), where in _steps(scenario, counts).items()
    ]
    aim = [it for it in found if target in (it.step, f"skill:{it.skill}")]
    if not aim:
        known = {it.step for it in found} | {f"skill:{it.skill}" for it in found if it.skill}
        raise UsageError(f"no step {target!r} in what is played{near_match(target, known)}")
    rest = [it for it in found if it not in aim]
    others = tuple(it for it in rest if it.pairs >= min_pairs)
    chance = 1.0
    for it in others:
        chance *= it.power
    return ProofPlan(
        max(counts.values()),
        2 * sum(counts.values()),
        margin,
        discordance,
        tuple(aim),
        others,
        tuple(it for it in rest if it.pairs < min_pairs),
        min_pairs,
        chance,
        _gain(base, sum(it.effective for it in aim), alpha),
    )


def _counts(
    scenarios: Sequence[Loaded], instances: int | Mapping[str, int], variants: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """`scenario/variant` → instances of it."""
    known = [f"{it.id}/{variant}" for it in scenarios for variant in variants.get(it.id, it.variants)]
    if isinstance(instances, int):
        return dict.fromkeys(known, instances)
    if unknown := sorted(set(instances) - set(known)):
        raise UsageError(f"held-out instances: no {unknown[0]!r} is played{near_match(unknown[0], known)}")
    return {name: instances[name] for name in known if name in instances}


def _steps(scenario: Loaded, counts: Mapping[str, int]) -> dict[tuple[str, str | None], dict[str, int]]:
    """Each step's id and skill → the variants in which it is due, with their instances; read off one instance."""
    found: dict[tuple[str, str | None], dict[str, int]] = {}
    for variant in scenario.variants:
        if (count := counts.get(f"{scenario.id}/{variant}")) is not None:
            for turn in scenario.draw(variant, 0).turns:
                for step in turn.steps:
                    found.setdefault((step.id, step.skill), {})[variant] = count
    return found


def _step(
    scenario: str,
    step: str,
    skill: str | None,
    variants: Mapping[str, int],
    discordance: float,
    alike: float,
    margin: float,
    alpha: float,
) -> StepPlan:
    pairs = sum(variants.values())
    effective = pairs / (1 + (pairs / max(variants.values()) - 1) * alike)
    power = non_inferiority_power(int(effective), discordance=discordance, margin=margin, alpha=alpha)
    return StepPlan(scenario, step, skill, tuple(variants), pairs, effective, power)


def _gain(base: float, effective: float, alpha: float) -> float | None:
    """A gain from `base` is found as a fall from 1 - `base` is."""
    try:
        return plan_drop(min(1 - base, 1 - 1e-9), int(effective), paired=True, alpha=alpha).drop
    except UsageError:
        return None


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
