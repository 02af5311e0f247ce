"""What a turn is about: whose traffic, and which step."""

from __future__ import annotations

from agentkit.config import ChatAgent, Config
from agentkit.errors import UsageError, near_match
from agentkit.loop.production import Production, StepRate
from agentkit.records import ANY, Revision, Target, TargetKind
from agentkit.serve.lookup import find_route, route_map


def chosen_agent(config: Config) -> str:
    """The agent of the loop.

    Raises:
        UsageError: none is named and the project has several, one is unknown, or its model is another than the one that
            is served.
    """
    name = _named(config)
    engine, serves = getattr(config.agents[name], "engine", None), config.serve.engines.model
    if engine != serves:
        raise UsageError(
            f"[tool.agentkit.agents.{name}] engine: found {engine!r}, expected {serves!r}, the model of "
            "[tool.agentkit.serve.engines]: the loop trains what it serves"
        )
    return name


def _named(config: Config) -> str:
    names = [name for name, it in config.agents.items() if isinstance(it, ChatAgent)]
    name = config.loop.agent
    if name is None and len(names) == 1:
        return names[0]
    if not names:
        raise UsageError(
            'the project has no chat agent whose steps could be trained: add [tool.agentkit.agents.NAME], kind = "chat"'
        )
    if name is None:
        raise UsageError(f"[tool.agentkit.loop] agent: is missing; expected one of {', '.join(names)}")
    if name not in names:
        raise UsageError(f"[tool.agentkit.loop] agent: no chat agent is called {name!r}{near_match(name, names)}")
    return name


def answering(revision: Revision, agent: str) -> Target:
    """What answers an agent's conversations, whichever step they are at.

    Raises:
        UsageError: different targets answer its steps, or an upstream does, whose weights are not here.
    """
    routes = route_map(revision.routes)
    found = find_route(routes, agent, ANY).live
    others = {find_route(routes, agent, step).live for name, step in routes if name in (agent, ANY)} - {found}
    if others:
        told = ", ".join(sorted(map(str, others)))
        raise UsageError(
            f"{agent} is answered by {found}, and some of its steps by {told} (agentkit route): the loop proves one "
            "adapter for all of an agent's steps"
        )
    if found.kind is TargetKind.UPSTREAM:
        raise UsageError(
            f"{agent} is answered by the upstream {found.name} (agentkit route), whose weights are not here"
        )
    return found


def worst_step(found: Production, goal: float, min_judged: int) -> StepRate | None:
    """The step whose repair would lift the product most, of those that are shown to fall short of the goal."""
    short = [it for it in found.steps if it.judged >= min_judged and it.high < goal]
    return min(short, key=lambda it: it.estimate, default=None)


def all_good(found: Production, goal: float, min_judged: int) -> bool:
    """Whether every step is shown to reach the goal."""
    return all(it.judged >= min_judged and it.low >= goal for it in found.steps)


def bounds(it: StepRate) -> str:
    return f"{it.low:.0%} to {it.high:.0%}"
