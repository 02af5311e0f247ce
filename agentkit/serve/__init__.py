"""Model servers on this machine: the embedded model, and a real vLLM that serves it or any other."""

from agentkit.serve.command import EngineSettings
from agentkit.serve.embedded import embedded_endpoint, embedded_model
from agentkit.serve.engine import Endpoint, Engine

__all__ = ["Endpoint", "Engine", "EngineSettings", "embedded_endpoint", "embedded_model"]
