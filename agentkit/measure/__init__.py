"""From graded trials to numbers that can be trusted: each names its assumption in this package's README.

Reads plain arrays and gives frozen records; no input or output happens here. Only this package and `gate` import SciPy.
"""

from __future__ import annotations

from agentkit.measure.cluster import cluster_error, coupling, design_effect, intraclass_correlation
from agentkit.measure.consistency import pass_at_k, pass_hat_k
from agentkit.measure.flaky import Flake, FlakyStep, Occasion, flaky_steps
from agentkit.measure.graded import FAILED, NOT_REACHED, PASSED, UNGRADED, Cell
from agentkit.measure.priority import birnbaum, improvement_potential
from agentkit.measure.product import accuracy_draws, delta_interval, product_interval
from agentkit.measure.proportion import (
    Interval,
    clopper_pearson,
    corrected,
    failure_bound,
    jeffreys,
    passes_needed,
    wilson,
)
from agentkit.measure.recovery import (
    Chain,
    Recovered,
    compounded_with_recovery,
    conversation,
    implied_recovery,
    recovered,
    recovery_potential,
)
from agentkit.measure.summary import Summary, summarize
from agentkit.measure.survival import Survival, kaplan_meier, step_survival

__all__ = [
    "FAILED",
    "NOT_REACHED",
    "PASSED",
    "UNGRADED",
    "Cell",
    "Chain",
    "Flake",
    "FlakyStep",
    "Interval",
    "Occasion",
    "Recovered",
    "Summary",
    "Survival",
    "accuracy_draws",
    "birnbaum",
    "clopper_pearson",
    "cluster_error",
    "compounded_with_recovery",
    "conversation",
    "corrected",
    "coupling",
    "delta_interval",
    "design_effect",
    "failure_bound",
    "flaky_steps",
    "implied_recovery",
    "improvement_potential",
    "intraclass_correlation",
    "jeffreys",
    "kaplan_meier",
    "pass_at_k",
    "pass_hat_k",
    "passes_needed",
    "product_interval",
    "recovered",
    "recovery_potential",
    "step_survival",
    "summarize",
    "wilson",
]
