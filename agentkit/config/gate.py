"""What the gate judges by."""

from __future__ import annotations

from typing import Literal

from agentkit.config.settings import Settings


class GateOptions(Settings):
    """What `agentkit gate` and `agentkit compare` judge by, where the command line says nothing else. What is left out
    is as the gate has it (agentkit/gate/README.md)."""

    baseline: str = "reports/baseline.json"
    """A baseline file, or a run."""
    calibration: str = "reports/judge.json"
    """What `agentkit calibrate` wrote; without it, what a judge says is advice."""
    alpha: float | None = None
    """Chance of a false alarm over all blocking criteria together."""
    min_effect: float | None = None
    """A drop up to this never fails the gate; 0.02 is two points."""
    margin: float | None = None
    """A drop of this or more must be ruled out before the gate passes."""
    relative_min_effect: float | None = None
    """As `min_effect`, for what is spent per success; 0.10 is ten per cent more."""
    relative_margin: float | None = None
    """As `margin`, for what is spent per success."""
    mode: Literal["regression", "non_inferiority"] | None = None
    """`non_inferiority` asks one question only: is the drop less than the margin?"""
    target: Literal["fixed_suite", "population"] | None = None
    """What the verdict is about: these scenarios, or all that they are a sample of."""
    success: bool | None = None
    """Whether observed success blocks."""
    compounded: bool | None = None
    """Whether compounded accuracy blocks."""
    off_path: bool | None = None
    """Whether compounded accuracy over all variants but the golden one blocks."""
    steps: tuple[str, ...] = ()
    """Step selectors that block, each one criterion; `each:SELECTOR` makes one of every step."""
    pass_k: tuple[int, ...] = ()
    """Block on all of so many attempts at a scenario and variant succeeding."""
    cost: bool | None = None
    """Whether US dollars per success block."""
    latency: bool | None = None
    """Whether seconds per success block."""
    safety: dict[str, float] = {}
    """Step selector → the greatest failure rate that its upper bound may show."""
    max_invalid: float | None = None
    """Share of either side's trials that may be invalid."""
    accept: tuple[str, ...] = ()
    """Scenarios whose content may differ from the baseline's."""
    accept_users: tuple[str, ...] = ()
    """Simulated users that may differ from the baseline's."""
