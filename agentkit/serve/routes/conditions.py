"""What a target must have shown before it may answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from agentkit.errors import ExitCode, UsageError, near_match
from agentkit.records import Adapter, AdapterState, Revision, Route, Target, TargetKind
from agentkit.serve.canary import CanaryVerdict, Judgement
from agentkit.store import Store


class Refused(UsageError):
    """A change that what was measured does not bear out. Who knows better forces it, with a reason that is recorded."""

    exit_code = ExitCode.FAIL


def registered(store: Store, target: Target) -> Adapter | None:
    """The adapter that a target names by its whole name; None for another kind of target.

    Raises:
        UsageError: no such adapter is registered, or it is retired.
    """
    if target.kind is not TargetKind.ADAPTER:
        return None
    found = store.adapter(target.name)
    if found.name != target.name:
        raise UsageError(f"no adapter {target.name!r} is registered (did you mean {found.name!r}?)")
    if found.state is AdapterState.RETIRED:
        raise UsageError(f"adapter {found.name} is retired; what was taken back begins anew as a candidate")
    return found


def parse_target(store: Store, text: str, upstreams: Collection[str]) -> Target:
    """The target that a person names: `base`, an adapter or a beginning of its name, or an upstream of the
    configuration; `adapter:NAME` and `upstream:NAME` say which is meant. Raises UsageError."""
    kind, colon, name = text.partition(":")
    if text == TargetKind.BASE:
        return Target(TargetKind.BASE)
    if colon and kind == TargetKind.ADAPTER:
        return Target(TargetKind.ADAPTER, store.adapter(name).name)
    if colon and kind == TargetKind.UPSTREAM:
        if name not in upstreams:
            raise UsageError(f"no upstream {name!r} is configured{near_match(name, upstreams)}")
        return Target(TargetKind.UPSTREAM, name)
    adapters = [it.name for it in store.adapters()]
    begun = [it for it in adapters if text and it.startswith(text)]
    exact = [it for it in adapters if it == text]
    if text in upstreams and exact:
        raise UsageError(f"{text!r} is an adapter and an upstream; write adapter:{text} or upstream:{text}")
    if text in upstreams:
        return Target(TargetKind.UPSTREAM, text)
    if not begun:
        raise UsageError(
            f"nothing is called {text!r} that could answer{near_match(text, ('base', *adapters, *upstreams))}"
        )
    return Target(TargetKind.ADAPTER, store.adapter(text).name)


def thrown_out(store: Store, route: Route, target: Target) -> Revision | None:
    """The newest revision that took this target from this route as a canary, because it was worse."""
    said = {"agent": route.agent, "step": route.step, "kind": target.kind.value, "name": target.name}
    for it in store.revisions(1_000):
        evidence = it.evidence or {}
        if said in evidence.get("withdrawn", ()) and evidence.get("verdict") == CanaryVerdict.ROLL_BACK:
            return it
    return None


def missing(adapter: Adapter | None, judgement: Judgement | None) -> Iterator[str]:
    """What is missing for a promotion, in words: an adapter's certificate that says *promote*, and a clean canary."""
    if adapter is not None:
        verdict = certified(adapter)
        if verdict != "promote":
            found = "no certificate" if verdict is None else f"a certificate that says {verdict!r}"
            yield f"{adapter.name} has {found}, expected one that says 'promote'"
    if judgement is None or judgement.verdict is not CanaryVerdict.CLEAN:
        yield f"the canary is not clean: {'it was not judged' if judgement is None else judgement.sentence}"


def certified(adapter: Adapter) -> Any:
    """The verdict of its certificate; None where it has none."""
    return None if adapter.certificate is None else adapter.certificate.get("verdict")
