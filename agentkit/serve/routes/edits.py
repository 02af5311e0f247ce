"""A table with one thing changed, and what may be in a table at all. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentkit.errors import UsageError, near_match
from agentkit.records import ANY, Arm, Revision, Route, Target, TargetKind
from agentkit.serve.lookup import find_route, route_map, route_name

BASE = Target(TargetKind.BASE)
_LONGEST = 200
"""Characters of an agent's or a step's name."""


def checked_name(what: str, name: str) -> str:
    """An agent's or a step's name as routes may hold it. Raises UsageError."""
    if not name or len(name) > _LONGEST or not name.isprintable() or name != name.strip():
        raise UsageError(
            f"{what}: found {name[:_LONGEST]!r}, expected 1 to {_LONGEST} printable characters, no spaces around them"
        )
    return name


def parse_route(text: str) -> tuple[str, str]:
    """(agent, step) of `AGENT/STEP`, or of `AGENT` alone, which is all of its steps; what follows the first `/` is the
    step's. Raises UsageError."""
    agent, slash, step = text.partition("/")
    return checked_name("agent", agent), checked_name("step", step if slash else ANY)


def with_live(routes: Sequence[Route], agent: str, step: str, target: Target) -> tuple[Route, ...]:
    """The route answers with this target; a canary of the same target ends."""
    route = _route(routes, agent, step)
    ends = route.canary == target
    return _with(
        routes,
        replace(route, live=target, canary=None if ends else route.canary, share=0.0 if ends else route.share),
    )


def with_canary(routes: Sequence[Route], agent: str, step: str, target: Target, share: float) -> tuple[Route, ...]:
    """The route lets this target answer a share of the conversations. Raises UsageError."""
    if not 0 < share < 1:
        raise UsageError(
            f"share: found {share:g}, expected more than 0 and less than 1; 0.1 is every tenth conversation"
        )
    route, name = _route(routes, agent, step), route_name(agent, step)
    if target == route.live:
        raise UsageError(f"{name}: {target} is what answers there already, so it cannot be its own canary")
    if route.canary not in (None, target):
        raise UsageError(f"{name}: {route.canary} is the canary there; end it, or promote it, before another begins")
    return _with(routes, replace(route, canary=target, share=share))


def without_canary(routes: Sequence[Route], agent: str, step: str) -> tuple[Route, ...]:
    """The canary of the route ends. Raises UsageError where there is none."""
    return _with(routes, replace(canary_route(routes, agent, step), canary=None, share=0.0))


def canary_route(routes: Sequence[Route], agent: str, step: str) -> Route:
    """The route of exactly this agent and step, which has a canary. Raises UsageError where there is none."""
    found = route_map(routes).get((agent, step))
    if found is None or found.canary is None:
        name = route_name(agent, step)
        known = [route_name(it.agent, it.step) for it in routes if it.canary is not None]
        more = near_match(name, known) if known else ": no route has one"
        raise UsageError(f"{name} has no canary{more}")
    return found


def restored(current: Sequence[Route], earlier: Sequence[Route]) -> tuple[Route, ...]:
    """An earlier table again. A rollback takes things away and never starts a canary: only those come along that run
    now."""
    running = {(it.agent, it.step): it.canary for it in current}
    return tuple(
        it
        if it.canary is None or running.get((it.agent, it.step)) == it.canary
        else replace(it, canary=None, share=0.0)
        for it in earlier
    )


def withdrawn(before: Sequence[Route], after: Sequence[Route]) -> list[dict[str, Any]]:
    """What answered somewhere before and does not after, as it stands in a revision's evidence (`withdrawn`)."""
    old, new = route_map(before), route_map(after)
    found = []
    for agent, step in dict.fromkeys((*old, *new)):
        left = _targets(find_route(new, agent, step))
        found += [
            {"agent": agent, "step": step, "kind": it.kind.value, "name": it.name}
            for it in _targets(find_route(old, agent, step))
            if it not in left
        ]
    return found


def previous(revision: Revision, history: Mapping[int, Revision]) -> int | None:
    """The number of the revision whose table a rollback of this one restores; None where there is nothing before.

    Before a rollback comes what was before the revision that it restored, so that one after the other leads back and
    not to and fro.
    """
    number: int | None = revision.number
    while number is not None and (restores := (history[number].evidence or {}).get("restores")) is not None:
        number = int(restores)
    return None if number is None else history[number].parent


def adapters_in(routes: Iterable[Route]) -> dict[str, Arm]:
    """Adapter → live, or canary where it is no more than that."""
    found: dict[str, Arm] = {}
    for it in routes:
        if it.canary is not None and it.canary.kind is TargetKind.ADAPTER:
            found.setdefault(it.canary.name, Arm.CANARY)
        if it.live.kind is TargetKind.ADAPTER:
            found[it.live.name] = Arm.LIVE
    return found


def _route(routes: Sequence[Route], agent: str, step: str) -> Route:
    """The route of exactly this agent and step; where there is none, one that answers as it is answered now."""
    checked_name("agent", agent), checked_name("step", step)
    known = route_map(routes)
    return known.get((agent, step)) or Route(agent, step, find_route(known, agent, step).live)


def _with(routes: Sequence[Route], route: Route) -> tuple[Route, ...]:
    found = {(it.agent, it.step): it for it in (*routes, route)}
    return tuple(found[key] for key in sorted(found))


def _targets(route: Route) -> list[Target]:
    return [route.live] if route.canary is None else [route.live, route.canary]
