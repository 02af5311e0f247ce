"""One trace a trial, by OpenTelemetry's GenAI conventions. Nothing else in agentkit imports OpenTelemetry."""

from agentkit.tracing.calls import Chat, Tool
from agentkit.tracing.pipeline import Pipeline
from agentkit.tracing.span import Span
from agentkit.tracing.tracing import Tracing
from agentkit.tracing.trial import Trial, Turn

__all__ = ["Chat", "Pipeline", "Span", "Tool", "Tracing", "Trial", "Turn"]
