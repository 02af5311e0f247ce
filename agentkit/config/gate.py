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
    min_effect: float | None = None
    margin: float | None = None
    relative_min_effect: float | None = None
    relative_margin: float | None = None
    mode: Literal["regression", "non_inferiority"] | None = None
    target: Literal["fixed_suite", "population"] | None = None
    success: bool | None = None
    compounded: bool | None = None
    off_path: bool | None = None
    steps: tuple[str, ...] = ()
    """Step selectors that block, each one criterion; `each:SELECTOR` makes one of every step."""
    pass_k: tuple[int, ...] = ()
    cost: bool | None = None
    latency: bool | None = None
    safety: dict[str, float] = {}
    """Step selector → the greatest failure rate that its upper bound may show."""
    max_invalid: float | None = None
    accept: tuple[str, ...] = ()
    """Scenarios whose content may differ from the baseline's."""
    accept_users: tuple[str, ...] = ()
    """Simulated users that may differ from the baseline's."""
