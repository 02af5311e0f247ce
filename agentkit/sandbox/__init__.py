"""Sandbox: runs a program that a model wrote where it can harm nobody, or does not run it at all."""

from agentkit.sandbox.limits import SandboxLimits, SandboxResult
from agentkit.sandbox.run import run_sandboxed

__all__ = ["SandboxLimits", "SandboxResult", "run_sandboxed"]
