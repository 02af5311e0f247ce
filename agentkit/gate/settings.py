"""What a gate looks at, and how far is too far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, Protocol

import numpy as np

from agentkit.errors import UsageError, near_match
from agentkit.gate.difference import Target
from agentkit.gate.metric import Metric, compounded, pass_k, per_success, steps, success
from agentkit.gate.pairs import Matched
from agentkit.gate.recorded import StepTags
from agentkit.measure.graded import Floats
from agentkit.records import GOLDEN

Mode = Literal["regression", "non_inferiority"]


@dataclass(frozen=True, slots=True)
class GateSettings:
    """One gate. Raises `UsageError` where a number makes no sense.

    Two limits for every difference. A drop up to `min_effect` never fails the gate. A drop of `margin` or more must be
    ruled out before the gate passes. What lies between is decided by significance, or stays inconclusive.
    """

    alpha: float = 0.05
    """Chance of a false alarm over all blocking criteria together."""
    min_effect: float = 0.02
    """In rate points: 0.02 is two points."""
    margin: float = 0.10
    mode: Mode = "regression"
    """`non_inferiority` asks one question only: is the drop less than the margin, one-sided at alpha?"""
    target: Target = "fixed_suite"
    success: bool = True
    compounded: bool = True
    off_path: bool = False
    """Compounded accuracy over all variants but the golden one."""
    steps: tuple[str, ...] = ()
    """Blocking steps: `step`, `scenario/variant#step`, patterns of these with `*`, `skill:NAME`, `tag:NAME` (steps
    that have it, or whose detour or scenario has). One selector is one criterion, the mean of its steps;
    `each:SELECTOR` makes one for each."""
    pass_k: tuple[int, ...] = ()
    cost: bool = False
    seconds: bool = False
    relative_min_effect: float = 0.10
    """For what is spent per success: 0.10 is ten per cent more."""
    relative_margin: float = 0.25
    safety: Mapping[str, float] = field(default_factory=dict)
    """Step selector to the greatest failure rate that its upper bound may show."""
    max_invalid: float = 0.10
    """Share of either side's trials."""
    accept: tuple[str, ...] = ()
    """Scenarios whose content may differ from the baseline's; `*` is all."""
    accept_users: tuple[str, ...] = ()
    """Simulated users that may differ from the baseline's; `*` is all."""
    advisory: frozenset[str] = frozenset()
    """Steps (`scenario/variant#step`) that are shown and never block, such as those of a judge without calibration."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("alpha", "margin", "relative_margin", "max_invalid"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise UsageError(f"{name}: found {value}, expected a number between 0 and 1, such as 0.05 for 5 %")
        for name in ("min_effect", "relative_min_effect"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise UsageError(f"{name}: found {value}, expected 0 or more and less than 1; 0.02 is two points")
        for small, large in (("min_effect", "margin"), ("relative_min_effect", "relative_margin")):
            if getattr(self, small) > getattr(self, large):
                raise UsageError(
                    f"{small} {getattr(self, small)} exceeds {large} {getattr(self, large)}: "
                    "a drop that must be ruled out cannot be smaller than one that does not count"
                )
        for selector, limit in self.safety.items():
            if not (isinstance(limit, float) and 0 < limit < 1):
                raise UsageError(f"safety {selector!r}: found {limit!r}, expected a failure rate between 0 and 1")
        for k in self.pass_k:
            if k < 2:
                raise UsageError(f"pass^k: found k = {k}, expected 2 or more attempts")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One difference that the gate judges."""

    metric: Metric
    min_effect: float
    """On the metric's scale, 0 or more."""
    margin: float
    blocking: bool

    def too_far(self, mode: Mode) -> float:
        """The drop beyond which it fails where one is shown."""
        return self.min_effect if mode == "regression" else self.margin


def criteria(cells: Sequence[Matched], settings: GateSettings) -> tuple[Criterion, ...]:
    """What the settings ask for, in their order. Raises `UsageError` for a selector that names nothing."""
    metrics: list[Metric] = []
    if settings.compounded:
        metrics.append(compounded(cells))
    if settings.success:
        metrics.append(success(cells))
    if settings.off_path:
        metrics.append(compounded([it for it in cells if it.variant != GOLDEN], "off-path compounded accuracy"))
    metrics += [pass_k(cells, k) for k in settings.pass_k]
    metrics += [per_success(cells, "cost")] * settings.cost + [per_success(cells, "seconds")] * settings.seconds
    metrics += [step_metric(cells, *chosen) for chosen in selected_steps(cells, settings.steps)]
    return tuple(_criterion(metric, settings) for metric in metrics)


def shares(overall: Sequence[bool]) -> Floats:
    """How criteria share alpha: those of the whole suite have one half together, single steps and safety the other, so
    that many blocking steps do not blind the gate to a fall of the whole. All of it where there is one kind only."""
    whole = np.asarray(overall, dtype=bool)
    kinds = len(set(whole.tolist()))
    count = np.where(whole, max(int(whole.sum()), 1), max(int((~whole).sum()), 1))
    return np.asarray(1 / (max(kinds, 1) * count))


def selected_steps(cells: Sequence[Matched], selectors: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """For each criterion its name and the steps it is made of."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for selector in selectors:
        chosen = select(cells, selector.removeprefix("each:"))
        if selector.startswith("each:"):
            found += [(f"step {step}", (step,)) for step in chosen]
        else:
            found.append((f"step {chosen[0]}" if len(chosen) == 1 else f"steps {selector}", chosen))
    return found


def step_metric(cells: Sequence[Matched], name: str, chosen: Sequence[str]) -> Metric:
    return steps(cells, chosen, name)


class Selectable(Protocol):
    """The steps of one scenario and variant, as far as a selector looks at them."""

    @property
    def id(self) -> str:
        """`scenario/variant`."""
        ...

    @property
    def steps(self) -> tuple[str, ...]: ...
    @property
    def skills(self) -> tuple[str | None, ...]:
        """Of each step."""
        ...

    @property
    def tags(self) -> StepTags: ...


def select(cells: Sequence[Selectable], selector: str) -> tuple[str, ...]:
    """The steps (`scenario/variant#step`) that a selector names, one at least."""
    kind, _, name = selector.partition(":")
    every = [
        (f"{cell.id}#{step}", step, skill, tags)
        for cell in cells
        for step, skill, tags in zip(cell.steps, cell.skills, cell.tags, strict=True)
    ]
    if kind == "skill":
        found = [id for id, _, skill, _ in every if skill == name]
        known = {skill for _, _, skill, _ in every if skill is not None}
    elif kind == "tag":
        found = [id for id, _, _, tags in every if name in tags]
        known = {tag for _, _, _, tags in every for tag in tags}
    else:
        ids = [(id, step) for id, step, _, _ in every]
        found = [id for id, step in ids if fnmatchcase(id, selector) or fnmatchcase(step, selector)]
        kind, name, known = "step", selector, {step for _, step in ids} | {id for id, _ in ids if "#" in selector}
    if not found:
        raise UsageError(f"no step has the {kind} {name!r}{near_match(name, known)}" if kind != "step" else
                         f"no step {name!r}{near_match(name, known)}")  # fmt: skip
    return tuple(found)


def _criterion(metric: Metric, settings: GateSettings) -> Criterion:
    small, large = settings.min_effect, settings.margin
    if metric.relative:
        small, large = math.log1p(settings.relative_min_effect), math.log1p(settings.relative_margin)
    named = {cell.step_ids[k] for cell, members in zip(metric.cells, metric.members, strict=True) for k in members}
    advisory = metric.kind == "steps" and bool(named & settings.advisory)
    return Criterion(metric, small, large, not advisory)
