"""Every other step after a training: that it did not get worse by the margin, as far as its pairs can tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentkit.gate import GateSettings, Judged, Matched, Outcome, holm
from agentkit.gate.judged import judge_difference
from agentkit.gate.metric import Metric
from agentkit.gate.settings import Criterion
from agentkit.measure.graded import Floats
from agentkit.tune.paired import Compared, compare, step_members


@dataclass(frozen=True, slots=True)
class Other:
    """One other step, or several that only together have enough pairs."""

    name: str
    """`scenario#step`, `skill NAME`, or what is left over."""
    steps: tuple[str, ...]
    """`scenario/variant#step`."""
    compared: Compared
    judged: Judged
    pooled: bool
    """Whether it is made of several steps that are too rare alone; these are listed by themselves as well."""
    thin: bool
    """Whether it has too few pairs to show that nothing was lost: it then blocks only where it is shown to be worse."""
    judged_in: str | None
    """Of a thin step the pool that speaks for it; None where none has enough pairs either."""
    power: float | None
    """Chance that a step that did not change rules out the margin with these pairs."""

    @property
    def outcome(self) -> Outcome:
        return self.judged.outcome

    @property
    def open(self) -> bool:
        """Whether too little shows that it was not made worse."""
        if self.thin:
            return self.judged_in is None
        return self.outcome in (Outcome.INCONCLUSIVE, Outcome.NOT_JUDGED)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "step": self.name,
            "steps": list(self.steps),
            **self.compared.document(),
            "outcome": "not_enough_pairs" if self.thin and self.outcome is not Outcome.FAIL else self.outcome.value,
            "blocking": self.judged.blocking,
            "reason": self.judged.reason,
            "adjusted_p": self.judged.adjusted_p,
            "margin": self.judged.margin,
            "power": self.power,
            "pooled": self.pooled,
            "judged_in": self.judged_in,
        }


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    steps: tuple[str, ...]
    skill: str | None
    compared: Compared


def judge_others(
    cells: Sequence[Matched], target: Iterable[str], settings: GateSettings, min_pairs: int
) -> tuple[Other, ...]:
    """Judge every step but the target's, those of one id in all variants of a scenario together, every pair alike.

    A step with fewer than `min_pairs` is pooled with the others of its skill that have too few; what is still too few,
    with everything left over. One-sided at alpha, all have to pass; the p-values of failures share alpha (Holm).
    """
    families = list(_families(cells, set(target), settings))
    thin = [it for it in families if it.compared.pairs < min_pairs]
    pools, spoken = _pools(cells, thin, settings, min_pairs)
    everything = [*families, *pools]
    adjusted: Floats = holm([1.0 if (p := it.compared.difference.p_value) is None else p for it in everything])
    judged = [_judged(it, float(p), it in thin, settings) for it, p in zip(everything, adjusted, strict=True)]
    return tuple(
        Other(
            name=family.name,
            steps=family.steps,
            compared=family.compared,
            judged=verdict,
            pooled=family in pools,
            thin=family in thin,
            judged_in=spoken.get(family.name),
            power=family.compared.power(settings.margin, settings.alpha),
        )
        for family, verdict in zip(everything, judged, strict=True)
    )


def _families(cells: Sequence[Matched], target: set[str], settings: GateSettings) -> Iterable[_Family]:
    """Steps of one id within a scenario, in order of their first appearance."""
    found: dict[tuple[str, str], list[str]] = {}
    skills: dict[tuple[str, str], str | None] = {}
    for cell in cells:
        for step, full, skill in zip(cell.steps, cell.step_ids, cell.skills, strict=True):
            if full not in target:
                found.setdefault((cell.scenario, step), []).append(full)
                skills.setdefault((cell.scenario, step), skill)
    for (scenario, step), steps in found.items():
        yield _family(cells, f"{scenario}#{step}", steps, skills[scenario, step], settings)


def _pools(
    cells: Sequence[Matched], thin: Sequence[_Family], settings: GateSettings, min_pairs: int
) -> tuple[list[_Family], dict[str, str]]:
    """The pools that have enough pairs, and which of them speaks for each thin step."""
    pools: list[_Family] = []
    spoken: dict[str, str] = {}

    def pool(name: str, members: Sequence[_Family], skill: str | None = None) -> None:
        if sum(it.compared.pairs for it in members) >= min_pairs:
            steps = [step for it in members for step in it.steps]
            pools.append(_family(cells, name, steps, skill, settings))
            spoken.update((it.name, name) for it in members if it.compared.pairs)

    for skill in dict.fromkeys(it.skill for it in thin if it.skill is not None):
        pool(f"skill {skill}, rare steps", [it for it in thin if it.skill == skill], skill)
    pool("rare steps left over", [it for it in thin if it.name not in spoken])
    return pools, spoken


def _family(
    cells: Sequence[Matched], name: str, steps: Sequence[str], skill: str | None, settings: GateSettings
) -> _Family:
    members = step_members(cells, steps)
    compared = compare(name, members, seed=settings.seed, level=1 - 2 * settings.alpha, by_pairs=True)
    return _Family(name, tuple(steps), skill, compared)


def _judged(family: _Family, adjusted: float, thin: bool, settings: GateSettings) -> Judged:
    """By the margin; a thin step by whether it is shown to be worse at all."""
    asked = replace(settings, mode="regression") if thin else settings
    criterion = Criterion(Metric("steps", family.name, (), ()), settings.min_effect, settings.margin, True)
    verdict = judge_difference(criterion, family.compared.difference, adjusted, 1.0, asked)
    return replace(verdict, blocking=verdict.outcome is Outcome.FAIL) if thin else verdict
