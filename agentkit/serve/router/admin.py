"""`POST /v1/admin/routes`: changes of the route table, each a new revision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from agentkit.config.serving import CanarySettings
from agentkit.errors import StoreError, UsageError, near_match
from agentkit.records import ANY, Revision
from agentkit.serve import routes
from agentkit.serve.router.asked import NAME
from agentkit.serve.router.document import ACTIONS, revision
from agentkit.serve.router.parts import Admin
from agentkit.serve.router.refused import Refused, bad, shown
from agentkit.store import Store

_MEMBERS = ("action", "agent", "step", "target", "share", "why", "repin", "expected")


def admin_of(store: Store, upstreams: Collection[str], canary: CanarySettings, changed: Callable[[], None]) -> Admin:
    """What admins may do to the routes of a store. `upstreams`: names of the configuration; `canary`: when one is clean
    enough to be promoted; `changed` is called after each change."""

    def change(key: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            made = _change(store, upstreams, canary, key, body)
        except routes.Refused as error:
            raise Refused(409, "not_borne_out", str(error)) from None
        except StoreError as error:
            raise Refused(409, "conflict", str(error)) from None
        except UsageError as error:
            raise Refused(400, "invalid_value", str(error)) from None
        changed()
        return revision(made)

    return change


def _change(
    store: Store, upstreams: Collection[str], canary: CanarySettings, key: str, body: Mapping[str, Any]
) -> Revision:
    for member in body:
        if member not in _MEMBERS:
            raise bad(shown(member), "an unknown member", f"one of {', '.join(_MEMBERS)}")
    action, why = _text(body, "action"), _text(body, "why")
    said: dict[str, Any] = {"by": key, "why": why, "expected": _expected(body)}
    if action == "rollback":
        return routes.rollback(store, repin=_flag(body, "repin"), **said)
    if action not in ACTIONS:
        raise bad("action", shown(action), f"one of {', '.join(ACTIONS)}{near_match(action, ACTIONS)}")
    agent, step = _name(body, "agent"), _name(body, "step")
    if action == "promote":
        return routes.promote(store, agent, step, settings=canary, **said)
    if action == "end_canary":
        return routes.end_canary(store, agent, step, repin=_flag(body, "repin"), **said)
    target = routes.parse_target(store, _text(body, "target"), upstreams)
    if action == "set":
        return routes.set_live(store, agent, step, target, **said)
    return routes.set_canary(store, agent, step, target, _share(body), **said)


def _text(body: Mapping[str, Any], member: str) -> str:
    found = body.get(member)
    if not isinstance(found, str) or not found.strip() or len(found) > 2000:
        raise bad(member, shown(found), "a text")
    return found


def _name(body: Mapping[str, Any], member: str) -> str:
    """Of an agent or a step as callers can give it; `*` for all."""
    found = _text(body, member)
    if found != ANY and not NAME.fullmatch(found):
        raise bad(member, shown(found), "a name that a caller can give, or *")
    return found


def _flag(body: Mapping[str, Any], member: str) -> bool:
    found = body.get(member, False)
    if not isinstance(found, bool):
        raise bad(member, shown(found), "true or false")
    return found


def _share(body: Mapping[str, Any]) -> float:
    found = body.get("share")
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= 1:
        raise bad("share", shown(found), "a number above 0, at most 1")
    return float(found)


def _expected(body: Mapping[str, Any]) -> int | None:
    found = body.get("expected")
    if found is not None and type(found) is not int:
        raise bad("expected", shown(found), "the number of a revision")
    return found
