"""Model servers on this machine: a real vLLM for the embedded model, or for any other."""

from agentkit.serve.command import EngineSettings
from agentkit.serve.embedded import embedded_model
from agentkit.serve.engine import Endpoint, Engine
from agentkit.serve.model import ServedModel, model_endpoint, served_model

__all__ = ["Endpoint", "Engine", "EngineSettings", "ServedModel", "embedded_model", "model_endpoint", "served_model"]
