"""What a turn is about: whose traffic, which step, and whether the door is well enough for a change."""

from __future__ import annotations

from agentkit.config import ChatAgent, Config
from agentkit.errors import UsageError, near_match
from agentkit.loop.production import Production, StepRate
from agentkit.store import Store


def chosen_agent(config: Config) -> str:
    """The agent of the loop. Raises UsageError where none is named and the project has several, or one is unknown."""
    names = [name for name, it in config.agents.items() if isinstance(it, ChatAgent)]
    name = config.loop.agent
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        raise UsageError(f"[tool.agentkit.loop] agent: is missing; expected one of {', '.join(names) or 'the agents'}")
    if name not in names:
        raise UsageError(f"[tool.agentkit.loop] agent: no chat agent is called {name!r}{near_match(name, names)}")
    return name


def worst_step(found: Production, goal: float, min_judged: int) -> StepRate | None:
    """The step whose repair would lift the product most, of those that are shown to fall short of the goal."""
    short = [it for it in found.steps if it.judged >= min_judged and it.high < goal]
    return min(short, key=lambda it: it.estimate, default=None)


def bounds(it: StepRate) -> str:
    return f"{it.low:.0%} to {it.high:.0%}"


def breaches(store: Store, agent: str, since: str, config: Config) -> list[str]:
    """The router's objectives that the agent's traffic since then misses, in words."""
    settings = config.serve.router
    seen = [it for it in store.exchanges(agent=agent, since=since) if not 400 <= it.status < 500]
    if not seen:
        return ["nothing was answered since the canary began"]
    up = sum(it.status < 400 and it.error is None for it in seen) / len(seen)
    quick = sum((it.first_token or it.latency) <= settings.latency for it in seen) / len(seen)
    found = []
    if up < settings.availability:
        found.append(f"availability {up:.2%}, expected {settings.availability:.2%}")
    if quick < settings.latency_share:
        found.append(f"{quick:.1%} within {settings.latency:g} s, expected {settings.latency_share:.1%}")
    return found
