"""API keys: made once, kept as hashes, and known again without asking the database for every request."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Protocol

from agentkit.errors import AgentkitError, UsageError
from agentkit.records import ApiKey, KeyLimits

PREFIX = "sk-agentkit-"
"""Like other providers' keys, so that whatever takes secrets out of logs knows it by its form."""
LONGEST = 200
"""Characters of what is looked at as a key."""
_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def new_key(name: str, *, admin: bool = False, limits: KeyLimits | None = None) -> tuple[str, ApiKey]:
    """A fresh key, which is shown once and kept nowhere, and what is kept of it.

    Raises UsageError for a name that is none.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"found the name {name!r}, expected letters, digits and . _ @ - (at most 64, the first a letter or digit)"
        )
    secret = PREFIX + secrets.token_urlsafe(32)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return secret, ApiKey(name, digest(secret), now, admin, limits or KeyLimits())


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class KeyRows(Protocol):
    """The part of the store that is needed here."""

    def api_keys(self) -> list[ApiKey]: ...


class KeyRing:
    """The keys that are good now, as the store had them about `every` seconds ago, at most twice that.

    A key that is not known is looked for once more before it is refused, but that is not oftener than every `pause`
    seconds for all such keys together, so that guessing costs time and the database nothing. Which key is asked for is
    decided by its hash alone: how long the comparison takes tells nothing of a key. Where the store cannot be read, the
    keys that were known stay good: with those, a reading is waited for until it has taken `brief` seconds, with others
    until it has taken `long`. Readings have a thread of their own, so that they wait for no other work.
    """

    def __init__(
        self,
        rows: KeyRows,
        *,
        every: float = 1.0,
        pause: float = 0.25,
        brief: float = 1.0,
        long: float = 5.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = rows
        self._every = every
        self._pause = pause
        self._brief = brief
        self._long = long
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="agentkit-keys")
        self._known = self._read()
        self._read_at = now()
        self._reading: asyncio.Task[None] | None = None
        self._begun = self._read_at
        """When `_reading` began."""

    async def find(self, secret: str) -> ApiKey | None:
        """The key, or None where it is unknown or revoked.

        Raises TimeoutError where it is not known, and the store does not answer.
        """
        if len(secret) > LONGEST:
            return None
        wanted = digest(secret)
        age = self._now() - self._read_at
        if wanted not in self._known:
            if not await self._is_read(self._refresh(max(0.0, self._pause - age)), self._long):
                raise TimeoutError("the store does not say which keys are good")
        elif age > 2 * self._every:
            await self._is_read(self._refresh(0.0), self._brief)
        elif age > self._every:
            self._refresh(0.0)
        found = self._known.get(wanted)
        return found if found is not None and hmac.compare_digest(found.hash, wanted) else None

    def _refresh(self, pause: float) -> asyncio.Task[None]:
        """Read the keys again off the loop, after so many seconds; one such task serves all who wait for it."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._reread(pause))
            self._begun = self._now()
        return self._reading

    async def _is_read(self, reading: asyncio.Task[None], most: float) -> bool:
        """Whether a reading is over, once it is or has taken so many seconds."""
        await asyncio.wait((reading,), timeout=max(0.0, most - (self._now() - self._begun)))
        if reading.done():
            reading.result()
        return reading.done()

    async def _reread(self, pause: float) -> None:
        await asyncio.sleep(pause)
        try:
            known = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
            if not (await asyncio.wait((known,), timeout=self._brief))[0]:
                _LOG.warning("the store does not say which keys are good, those that were known stay so until it does")
            self._known = await known
        except AgentkitError as error:
            _LOG.warning("the keys cannot be read again, those that were known stay good: %s", error)
        finally:
            self._read_at = self._now()

    def _read(self) -> dict[str, ApiKey]:
        return {key.hash: key for key in self._rows.api_keys() if key.revoked_at is None}
