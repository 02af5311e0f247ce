"""One trace a trial, by OpenTelemetry's GenAI conventions; and one a training job, and a span a request that is served.

Nothing else in agentkit imports OpenTelemetry.
"""

from agentkit.tracing.calls import Chat, Tool
from agentkit.tracing.job import Part
from agentkit.tracing.pipeline import Pipeline
from agentkit.tracing.served import Caller, Served
from agentkit.tracing.span import Span
from agentkit.tracing.tracing import Tracing
from agentkit.tracing.trial import Trial, Turn

__all__ = ["Caller", "Chat", "Part", "Pipeline", "Served", "Span", "Tool", "Tracing", "Trial", "Turn"]
