"""What several trainings that differ in their seed show together: the interval holds the variance between seeds too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentkit.errors import UsageError
from agentkit.gate import Difference, Recorded
from agentkit.measure.graded import Floats
from agentkit.measure.proportion import normal_quantile
from agentkit.measure.suite import t_quantile
from agentkit.tune.paired import interval_document


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The plays of one training seed's models on the held-out instances."""

    seed: int
    after: Recorded
    warm: Recorded | None = None
    """Of its warm start alone, where it has one of its own."""


@dataclass(frozen=True, slots=True)
class OfSeed:
    """What one training seed gained at the target step."""

    seed: int
    gain: Difference
    """Tuned less base."""
    reinforcement: Difference | None
    """Tuned less warm start; None without one."""

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        own = None if self.reinforcement is None else interval_document(self.reinforcement)
        return {
            "seed": self.seed,
            "before": self.gain.base,
            "after": self.gain.candidate,
            "difference": interval_document(self.gain),
            "reinforcement": own,
        }


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """The mean over training seeds, with an interval for another seed and other instances of the kind."""

    seeds: int
    estimate: float
    low: float | None
    """None with one seed, which says nothing of how seeds vary."""
    high: float | None
    level: float
    between: float | None
    """Standard deviation between seeds that is more than chance among instances, as a rate; 0 where none is seen."""

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def over_seeds(changes: Floats, level: float = 0.95) -> OverSeeds:
    """`changes` has one row a seed and one column an instance: what each gained there.

    Seeds and instances are crossed and both drawn from many, so the mean varies by both: a two-way analysis of
    variance as for readers and cases in imaging (Dorfman, Berbaum and Metz 1992), `var = (MS_seed +
    max(MS_instance - MS_rest, 0)) / (S n)`. Each part counts with its own t quantile, squared and added (Graybill and
    Wang 1980; Zou and Donner 2008): with two or three seeds one number of degrees of freedom for both would hold 87 to
    93 % only. Never shorter than were the seeds alike, nor than no change at all among as many results would leave it.
    """
    values = np.asarray(changes, dtype=float)
    seeds, instances = values.shape
    mean = float(values.mean())
    if seeds < 2 or instances < 2:
        return OverSeeds(seeds, mean, None, None, level, None)
    of_seed, of_instance = values.mean(axis=1), values.mean(axis=0)
    rest = values - of_seed[:, None] - of_instance[None, :] + mean
    ms_seed = instances * float(((of_seed - mean) ** 2).sum()) / (seeds - 1)
    ms_instance = seeds * float(((of_instance - mean) ** 2).sum()) / (instances - 1)
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (instances - 1))
    count, of_seeds, of_instances = seeds * instances, t_quantile(seeds - 1, level), t_quantile(instances - 1, level)
    alone = max(ms_instance - ms_rest, 0.0)
    half = max(
        math.sqrt((of_seeds**2 * ms_seed + of_instances**2 * alone) / count),
        of_instances * math.sqrt(ms_instance / count),
        normal_quantile(level) ** 2 / (count + normal_quantile(level) ** 2),
    )
    between = math.sqrt(max(0.0, (ms_seed - ms_rest) / instances))
    return OverSeeds(seeds, mean, max(-1.0, mean - half), min(1.0, mean + half), level, between)


def aligned(changes: Sequence[dict[tuple[str, int], float]], names: Sequence[str]) -> Floats:
    """One row for each seed, of the instances that all of them played.

    Raises UsageError where they share fewer than two.
    """
    shared = sorted(set.intersection(*(set(it) for it in changes))) if changes else []
    if len(shared) < 2:
        raise UsageError(
            f"the training seeds {', '.join(names)} share {len(shared)} graded held-out instances of the target step; "
            "expected all of them played on the same ones"
        )
    return np.array([[it[key] for key in shared] for it in changes])


def in_words(seeds: Sequence[OfSeed], total: OverSeeds, reinforcement: OverSeeds | None) -> str:
    """What the seeds show, in a sentence or two; nothing that is not positive beyond noise is called a gain."""
    said = []
    named: list[tuple[str, OverSeeds | None, list[Difference | None]]] = [
        ("training as a whole", total, [it.gain for it in seeds]),
        ("reinforcement by itself", reinforcement, [it.reinforcement for it in seeds]),
    ]
    for what, together, each in named:
        if together is None:
            continue
        clear = sum(it is not None and it.low is not None and it.low > 0 for it in each)
        mean = (
            f"{100 * together.estimate:+.1f} points on average over {together.seeds} training seed{_s(together.seeds)}"
        )
        if together.low is None or together.high is None:
            said.append(f"{what}: {mean}; how much seeds vary takes two or more")
            continue
        ends = f"95 % interval with the variance between seeds: {100 * together.low:+.1f} to {100 * together.high:+.1f}"
        if clear == 0 and together.low <= 0:
            said.append(f"{what}: none of {together.seeds} training seeds is positive beyond noise ({mean}; {ends})")
        else:
            beyond = "" if together.low > 0 else ", which does not exclude none"
            said.append(f"{what}: {mean} ({ends}){beyond}; {clear} of {together.seeds} seeds positive by itself")
    return ". ".join(f"{it[:1].upper()}{it[1:]}" for it in said) + "."


def _s(count: int) -> str:
    return "" if count == 1 else "s"
