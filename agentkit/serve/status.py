"""Statuses of HTTP as the router gives and records them: who failed, and what says nothing of who answers."""

from __future__ import annotations

SHED = 429
"""Of what was turned away for want of room; a key that has used up its own limit never gets as far."""
GONE = 499
"""Of an exchange whose caller hung up; nobody ever got it."""


def is_of_the_caller(status: int) -> bool:
    """Whether the caller itself did something wrong, or hung up, so that nothing is known of who answers."""
    return 400 <= status < 500 and status != SHED


def is_failed(status: int) -> bool:
    """Whether an answer of that status failed for a reason that is not the caller's."""
    return status >= 500 or status == SHED
