"""The changes that a person, the loop or a canary's watch makes to the table. Each is one atomic new revision.

All of them take `expected`, the number of the revision that the caller has seen: where the table is another by then, a
StoreError says so. `by` and `why` are recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentkit.config.serving import CanarySettings
from agentkit.errors import UsageError
from agentkit.records import AdapterState, Revision, Target
from agentkit.serve.canary import look
from agentkit.serve.lookup import route_name
from agentkit.serve.routes.change import Edit, change
from agentkit.serve.routes.conditions import Refused, certified, missing, registered, thrown_out
from agentkit.serve.routes.edits import (
    canary_route,
    previous,
    restored,
    with_canary,
    with_live,
    withdrawn,
    without_canary,
)
from agentkit.store import Store

Evidence = Mapping[str, Any]


def set_live(
    store: Store,
    agent: str,
    step: str,
    target: Target,
    *,
    by: str,
    why: str,
    evidence: Evidence | None = None,
    force: bool = False,
    expected: int | None = None,
) -> Revision:
    """Let a target answer a step from now on: the base model, an upstream, or an adapter that is live already.

    Raises:
        Refused: the adapter was never promoted, and it is not forced.
        UsageError: no such adapter, or a name that no route can have.
    """
    return set_several(
        store, {(agent, step): target}, by=by, why=why, evidence=evidence, force=force, expected=expected
    )


def set_several(
    store: Store,
    targets: Mapping[tuple[str, str], Target],
    *,
    by: str,
    why: str,
    evidence: Evidence | None = None,
    force: bool = False,
    expected: int | None = None,
) -> Revision:
    """`set_live` for several routes, (agent, step) → target, as one revision."""

    def edit(current: Revision) -> Edit:
        routes, without = current.routes, []
        for (agent, step), target in targets.items():
            adapter = registered(store, target)
            routes = with_live(routes, agent, step, target)
            if adapter is not None and adapter.state is not AdapterState.LIVE:
                without.append(f"{adapter.name} is {adapter.state} and was never promoted")
        if without and not force:
            raise Refused(f"{'; '.join(without)}: let it be a canary first, and promote it")
        return Edit(routes, _forced(evidence, without))

    return change(store, edit, by=by, why=why, expected=expected)


def set_canary(
    store: Store,
    agent: str,
    step: str,
    target: Target,
    share: float,
    *,
    by: str,
    why: str,
    evidence: Evidence | None = None,
    force: bool = False,
    expected: int | None = None,
) -> Revision:
    """Let a target answer a share of the conversations; or change the share of the canary that runs.

    Raises:
        Refused: it was thrown out there before, and it is not forced.
        UsageError: no such adapter, a retired one, a share that is none, or another canary runs at this route.
    """

    def edit(current: Revision) -> Edit:
        registered(store, target)
        routes, without = with_canary(current.routes, agent, step, target, share), []
        route = canary_route(routes, agent, step)
        if route not in current.routes and (before := thrown_out(store, route, target)):
            without.append(
                f"{target} was thrown out of {route_name(agent, step)} in revision {before.number}: {before.why}"
            )
        if without and not force:
            raise Refused(without[0])
        return Edit(routes, _forced(evidence, without))

    return change(store, edit, by=by, why=why, expected=expected)


def end_canary(
    store: Store,
    agent: str,
    step: str,
    *,
    by: str,
    why: str,
    evidence: Evidence | None = None,
    repin: bool = False,
    target: Target | None = None,
    expected: int | None = None,
) -> Revision:
    """Take a canary off the route. `repin`: running conversations, too, are answered by what is live from now on.

    `target`: only where the canary is still this one. Raises UsageError where the route has none, or another.
    """

    def edit(current: Revision) -> Edit:
        route = canary_route(current.routes, agent, step)
        if target is not None and route.canary != target:
            raise UsageError(f"{route_name(agent, step)}: {route.canary} is the canary by now, expected {target}")
        routes = without_canary(current.routes, agent, step)
        gone = {"withdrawn": withdrawn(current.routes, routes)} if repin else {}
        return Edit(routes, {**(evidence or {}), **gone} or None)

    return change(store, edit, by=by, why=why, expected=expected)


def end_canaries(store: Store, target: Target, *, by: str, why: str, expected: int | None = None) -> Revision:
    """Take a target off every route where it is the canary; running conversations, too, are answered by what is live
    from now on. Nothing is changed where it is no canary."""

    def edit(current: Revision) -> Edit:
        routes = current.routes
        for it in current.routes:
            if it.canary == target:
                routes = without_canary(routes, it.agent, it.step)
        return Edit(routes, {"withdrawn": withdrawn(current.routes, routes)})

    return change(store, edit, by=by, why=why, expected=expected)


def promote(
    store: Store,
    agent: str,
    step: str,
    *,
    by: str,
    why: str,
    evidence: Evidence | None = None,
    force: bool = False,
    settings: CanarySettings | None = None,
    expected: int | None = None,
) -> Revision:
    """Make the canary of a route what is live there. Certificate and judgement are recorded with it.

    Raises:
        Refused: the adapter has no certificate that says *promote*, or the canary is not clean by now, and it is not
            forced.
        UsageError: the route has no canary.
    """

    def edit(current: Revision) -> Edit:
        target = canary_route(current.routes, agent, step).canary
        assert target is not None
        adapter, judgement = registered(store, target), look(store, current, agent, step, settings)
        without = list(missing(adapter, judgement))
        if without and not force:
            raise Refused(f"{route_name(agent, step)}: {target} is not promoted: {'; '.join(without)}")
        found = {
            "promoted": str(target),
            "certificate": None if adapter is None else {"verdict": certified(adapter), "hash": adapter.hash},
            "canary": None if judgement is None else judgement.document(),
        }
        routes = with_live(current.routes, agent, step, target)
        return Edit(routes, _forced({**(evidence or {}), **found}, without))

    return change(store, edit, by=by, why=why, expected=expected)


def rollback(
    store: Store,
    *,
    by: str,
    why: str,
    repin: bool = False,
    evidence: Evidence | None = None,
    expected: int | None = None,
) -> Revision:
    """The previous revision's table again, as a new revision; once more leads one further back.

    A canary that does not run now does not come back with it. `repin` is for safety: running conversations that would
    still be answered by what is taken back are moved to the new revision, too.

    Raises UsageError where there is nothing to go back to.
    """

    def edit(current: Revision) -> Edit:
        history = {it.number: it for it in store.revisions(current.number)}
        number, routes = previous(current, history), current.routes
        while number is not None and (routes := restored(current.routes, history[number].routes)) == current.routes:
            number = previous(history[number], history)
        if number is None:
            raise UsageError(f"revision {current.number}: there is no earlier table to go back to")
        gone = {"withdrawn": withdrawn(current.routes, routes)} if repin else {}
        return Edit(routes, {**(evidence or {}), "restores": number, **gone})

    return change(store, edit, by=by, why=why, expected=expected)


def _forced(evidence: Evidence | None, without: list[str]) -> Evidence | None:
    """The evidence, and what was missing and forced."""
    return {**(evidence or {}), "forced": without} if without else evidence
