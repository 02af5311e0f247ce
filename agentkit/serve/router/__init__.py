"""The door in front of the models: OpenAI-compatible, with keys, limits, routes, retries and a memory."""

from agentkit.serve.router.app import Router
from agentkit.serve.router.capturing import Capturing, NoCapture
from agentkit.serve.router.door import KeyDoor, OpenDoor
from agentkit.serve.router.objectives import breaches
from agentkit.serve.router.parts import Parts

__all__ = ["Capturing", "KeyDoor", "NoCapture", "OpenDoor", "Parts", "Router", "breaches"]
