"""Which canary is judged, since when, with what share; and its traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from agentkit.records import Revision, Target, TargetKind
from agentkit.serve.lookup import RouteMap, find_route, route_map
from agentkit.store import SeenExchange, SeenLabel, Store

_READ = 100
"""Revisions that are read at a time on the way back to the canary's beginning."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The canary of one route, from its beginning on."""

    agent: str
    step: str
    target: Target
    since: str
    """RFC 3339, UTC; when its first revision was made."""
    shares: Mapping[int, float]
    """Revision → the canary's share; the first first."""
    repairs: str = ""
    """Name of the step that the canary's adapter is to repair; empty for another target, where the adapter is for
    several steps (a tag, a pattern), and where the route is that step's own."""
    routes: Mapping[int, RouteMap] = field(default_factory=dict, repr=False)
    """Revision → its whole table: which requests are of this route."""


def watched(store: Store, current: Revision, agent: str, step: str) -> Watched | None:
    """The canary that the route of exactly this agent and step has; None where there is none.

    It began with the first of the consecutive revisions that have the same canary beside the same live target.
    """
    found = route_map(current.routes).get((agent, step))
    if found is None or found.canary is None:
        return None
    since, shares, maps = current.created_at, {}, {}
    for it in chain((current,), _before(store, current.number)):
        routes = route_map(it.routes)
        route = routes.get((agent, step))
        if route is None or (route.canary, route.live) != (found.canary, found.live):
            break
        since, shares[it.number], maps[it.number] = it.created_at, route.share, routes
    return Watched(
        agent, step, found.canary, since, dict(sorted(shares.items())), _repairs(store, found.canary, step), maps
    )


def _repairs(store: Store, target: Target, step: str) -> str:
    if target.kind is not TargetKind.ADAPTER:
        return ""
    adapter = store.adapter(target.name)
    several = adapter.step.startswith("tag:") or "*" in adapter.step
    return "" if several or adapter.step_name == step else adapter.step_name


def _before(store: Store, number: int) -> Iterator[Revision]:
    while number > 1:
        for it in store.revisions(_READ, below=number):
            yield it
            number = it.number


def traffic(store: Store, it: Watched) -> tuple[list[SeenExchange], list[SeenLabel]]:
    """What passed through the route while the canary ran, and what was said of it; in the order of recording."""
    seen = store.seen_exchanges(it.shares, agent=it.agent, step=it.step)
    labels = store.seen_labels(it.shares, agent=it.agent, step=it.step)
    kinds = {(one.revision, one.agent, one.step) for one in seen}
    own = {kind for kind in kinds if _is_of(it.routes[kind[0]], kind, (it.agent, it.step))}
    return [one for one in seen if (one.revision, one.agent, one.step) in own], labels


def _is_of(routes: RouteMap, kind: tuple[int, str, str], here: tuple[str, str]) -> bool:
    found = find_route(routes, kind[1], kind[2])
    return (found.agent, found.step) == here
