"""The states of adapters in the registry follow the route table."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.records import AdapterName, AdapterState, Arm, Route
from agentkit.serve.routes.edits import adapters_in
from agentkit.store import Store

States = dict[AdapterName, tuple[AdapterState, AdapterState]]


def moves(store: Store, before: Sequence[Route], after: Sequence[Route]) -> States:
    """Adapter → its state now and the one that it gets, of all whose part in the table changes.

    What answers is `live`, what answers a share is `canary`. A canary that ends is a `candidate` again, and what was
    live is `retired`.
    """
    old, new = adapters_in(before), adapters_in(after)
    found: States = {}
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) is not new.get(name):
            adapter = store.adapter(name)
            becomes = _becomes(adapter.state, new.get(name))
            if becomes is not adapter.state:
                found[adapter.name] = (adapter.state, becomes)
    return found


def _becomes(state: AdapterState, part: Arm | None) -> AdapterState:
    if part is not None:
        return AdapterState.LIVE if part is Arm.LIVE else AdapterState.CANARY
    if state is AdapterState.CANARY:
        return AdapterState.CANDIDATE
    return AdapterState.RETIRED if state is AdapterState.LIVE else state
