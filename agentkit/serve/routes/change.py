"""How the table is changed: each change is one new revision, made from the newest, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agentkit.errors import StoreError, UsageError
from agentkit.records import ANY, Revision, Route
from agentkit.serve.routes.edits import BASE
from agentkit.serve.routes.states import moves
from agentkit.store import Outrun, Store, stamp

_TRIES = 20
"""Others who may be first before one gives up."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What a new revision is to be."""

    routes: tuple[Route, ...]
    evidence: Mapping[str, Any] | None = None


def newest(store: Store) -> Revision:
    """The newest revision; a store that has none gets the first, in which the base model answers everything."""
    while not (found := store.revisions(1)):
        first = Revision(
            1, (Route(ANY, ANY, BASE),), _now(), "agentkit", "the base model answers until a route is made"
        )
        try:
            store.add_revision(first)
        except Outrun:
            continue
    return found[0]


def change(
    store: Store, edit: Callable[[Revision], Edit], *, by: str, why: str, expected: int | None = None
) -> Revision:
    """Make the next revision by `edit`, which is given the newest one, and move the adapters' states with it.

    Where somebody else is first, `edit` is asked again with what the table is by then. A change that changes no route
    makes no revision, and the newest is given.

    Raises:
        StoreError: the newest revision is not `expected`, or others were first again and again.
        UsageError: what `edit` raises, or no reason was given.
    """
    if not why.strip():
        raise UsageError("why: found nothing, expected the reason for the change, in words")
    for _ in range(_TRIES):
        current = newest(store)
        if expected is not None and current.number != expected:
            raise StoreError(
                f"the route table is at revision {current.number} by now, expected {expected}: look at it again"
            )
        found = edit(current)
        if found.routes == current.routes:
            return current
        following = Revision(current.number + 1, found.routes, _now(), by, why, current.number, found.evidence)
        try:
            store.add_revision(following, moves(store, current.routes, found.routes))
        except Outrun:
            continue
        return following
    raise StoreError(f"{store.url}: the route table was changed by others {_TRIES} times in a row; try again")


def _now() -> str:
    return stamp(datetime.now(UTC))
