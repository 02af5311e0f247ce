"""Times as the store keeps those of production: in UTC and to the millisecond, so that texts compare as times do."""

from __future__ import annotations

from datetime import UTC, datetime

from agentkit.errors import StoreError


def moment(at: str, field: str) -> str:
    """`2026-03-01T12:00:00.000+00:00` of any RFC 3339 time; one without an offset is in UTC.

    Raises:
        StoreError: it is none; names the field.
    """
    try:
        found = datetime.fromisoformat(at)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise StoreError(
            f"{field}: found {at[:80]!r}, expected an RFC 3339 time such as 2026-03-01T12:00:00Z"
        ) from None
