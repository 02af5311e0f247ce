"""Which route of a table a request belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from agentkit.records import ANY, Route

RouteMap = Mapping[tuple[str, str], Route]
"""(agent, step) → its route; either may be `*`."""


def route_map(routes: Iterable[Route]) -> RouteMap:
    return MappingProxyType({(it.agent, it.step): it for it in routes})


def find_route(routes: RouteMap, agent: str, step: str) -> Route:
    """The most special route: of this step of this agent, of this agent, of this step, of all.

    Raises KeyError where there is none for all, which no valid table lacks.
    """
    for key in ((agent, step), (agent, ANY), (ANY, step)):
        if key in routes:
            return routes[key]
    return routes[ANY, ANY]


def route_name(agent: str, step: str) -> str:
    """As a person writes it: `till/refund`."""
    return f"{agent}/{step}"
