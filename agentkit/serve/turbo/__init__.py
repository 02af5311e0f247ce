"""Speculation, turned on where it was measured to pay on the traffic that is served."""

from agentkit.serve.drafter import LOOKUP
from agentkit.serve.turbo.choose import speculation
from agentkit.serve.turbo.payoff import Turbo, decide
from agentkit.serve.turbo.traffic import Sample, golden_traffic, recorded_traffic

__all__ = ["LOOKUP", "Sample", "Turbo", "decide", "golden_traffic", "recorded_traffic", "speculation"]
