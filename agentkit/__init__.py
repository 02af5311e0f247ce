"""agentkit: play an LLM agent off its golden path, grade every step, compound the accuracies, fix the right step first.

The names below are all a scenario file in Python needs; everything else is imported from its stage.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.errors import AgentkitError
    from agentkit.records import Message, ToolCall, Trial
    from agentkit.scenario import Call, Check, Detour, Reply, Scenario, Step, Turn, tool

__all__ = [
    "AgentkitError",
    "Call",
    "Check",
    "Detour",
    "Message",
    "Reply",
    "Scenario",
    "Step",
    "ToolCall",
    "Trial",
    "Turn",
    "tool",
]

_HOME = {"AgentkitError": "errors", "Message": "records", "ToolCall": "records", "Trial": "records"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'agentkit' has no attribute {name!r}")
    return getattr(import_module(f"agentkit.{_HOME.get(name, 'scenario')}"), name)
