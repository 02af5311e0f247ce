"""From graded trials to numbers that can be trusted: each names its assumption in this package's README.

Reads plain arrays and gives frozen records; no input or output happens here. The one importer of SciPy.
"""

from __future__ import annotations

from agentkit.measure.cluster import cluster_error, coupling, design_effect, intraclass_correlation
from agentkit.measure.consistency import pass_at_k, pass_hat_k
from agentkit.measure.graded import FAILED, NOT_REACHED, PASSED, UNGRADED, Cell
from agentkit.measure.priority import birnbaum, improvement_potential
from agentkit.measure.product import delta_interval, product_interval
from agentkit.measure.proportion import (
    Interval,
    clopper_pearson,
    failure_bound,
    jeffreys,
    passes_needed,
    wilson,
)
from agentkit.measure.summary import Summary, summarize

__all__ = [
    "FAILED",
    "NOT_REACHED",
    "PASSED",
    "UNGRADED",
    "Cell",
    "Interval",
    "Summary",
    "birnbaum",
    "clopper_pearson",
    "cluster_error",
    "coupling",
    "delta_interval",
    "design_effect",
    "failure_bound",
    "improvement_potential",
    "intraclass_correlation",
    "jeffreys",
    "pass_at_k",
    "pass_hat_k",
    "passes_needed",
    "product_interval",
    "summarize",
    "wilson",
]
