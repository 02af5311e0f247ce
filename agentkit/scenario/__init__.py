"""Scenarios: the format, the loader, and the instances that are played. See README.md beside this file."""

from agentkit.scenario.instance import Instance, PlayTurn
from agentkit.scenario.loader import Loaded, load
from agentkit.scenario.matchers import (
    Absent,
    Anything,
    Date,
    Equals,
    Matcher,
    Mentions,
    Number,
    OneOf,
    Pattern,
    SetOf,
    Subset,
)
from agentkit.scenario.model import (
    Call,
    Check,
    Detour,
    Persona,
    Reasoning,
    Reply,
    Rows,
    Scenario,
    Step,
    SuiteFile,
    Turn,
)
from agentkit.scenario.suite import Suite
from agentkit.scenario.tools import tool
from agentkit.scenario.variables import Amount, Choice, Day, Fake, FromPattern, Integer, Value
from agentkit.scenario.world import PythonWorld, PythonWorldFactory, ToolResult, World, WorldFactory

__all__ = [
    "Absent",
    "Amount",
    "Anything",
    "Call",
    "Check",
    "Choice",
    "Date",
    "Day",
    "Detour",
    "Equals",
    "Fake",
    "FromPattern",
    "Instance",
    "Integer",
    "Loaded",
    "Matcher",
    "Mentions",
    "Number",
    "OneOf",
    "Pattern",
    "Persona",
    "PlayTurn",
    "PythonWorld",
    "PythonWorldFactory",
    "Reasoning",
    "Reply",
    "Rows",
    "Scenario",
    "SetOf",
    "Step",
    "Subset",
    "Suite",
    "SuiteFile",
    "ToolResult",
    "Turn",
    "Value",
    "World",
    "WorldFactory",
    "load",
    "tool",
]
