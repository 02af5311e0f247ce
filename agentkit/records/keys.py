"""Who may ask the router."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What one key may do at most; None is as much as the router gives anybody."""

    per_minute: int | None = None
    """Requests a minute, as many of them at once as there are."""
    concurrent: int | None = None
    """Requests that are being answered at the same time."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: never the key itself."""

    name: str
    """Whose it is; what exchanges, feedback and revisions say about who did it."""
    hash: str
    """SHA-256 of the key in hexadecimal digits; a key is random and long, so nothing slower is needed."""
    created_at: str
    """RFC 3339, UTC."""
    admin: bool = False
    """Whether it may change routes."""
    limits: KeyLimits = KeyLimits()
    revoked_at: str | None = None
    """RFC 3339, UTC; None while it is good."""
