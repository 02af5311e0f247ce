"""Who may come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from agentkit.records import ApiKey
from agentkit.serve.keys import KeyRing
from agentkit.serve.router.body import header
from agentkit.serve.router.refused import Refused, failed, unauthorised

ANYBODY: Final = ApiKey("anybody", "", "")
"""Who asks where no key is wanted; never an admin."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True)
class KeyDoor:
    """Lets in whoever has a key that is good."""

    ring: KeyRing

    async def admit(self, scope: Scope) -> ApiKey:
        kind, _, secret = (header(scope, b"authorization") or b"").partition(b" ")
        if kind.lower() != b"bearer" or not secret:
            raise unauthorised()
        try:
            found = await self.ring.find(secret.strip().decode("latin-1"))
        except TimeoutError as error:
            raise failed(503, "keys_unread", str(error)) from None
        if found is None:
            raise unauthorised()
        return found


@dataclass(frozen=True)
class OpenDoor:
    """Lets anybody on this machine in, but admins by their keys alone.

    The name that was asked for must be this machine's: a page in a browser here that made its own name lead to this
    address is refused.
    """

    ring: KeyRing

    async def admit(self, scope: Scope) -> ApiKey:
        host = (header(scope, b"host") or b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in _LOOPBACK:
            raise Refused(403, "wrong_host", "without keys, only 127.0.0.1 and localhost are answered", close=True)
        secret = (header(scope, b"authorization") or b"").partition(b" ")[2]
        try:
            found = await self.ring.find(secret.strip().decode("latin-1")) if secret else None
        except TimeoutError:
            return ANYBODY
        return found or ANYBODY


def require_admin(key: ApiKey) -> None:
    """Raises Refused (403) for a key that is no admin's."""
    if not key.admin:
        raise Refused(403, "not_an_admin", "this needs an admin's key", kind="permission_error")
