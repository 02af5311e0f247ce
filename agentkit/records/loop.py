"""What a turn of the loop decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NewType

TurnId = NewType("TurnId", str)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one stage of one turn came to, and on what evidence."""

    turn: TurnId
    agent: str
    """Whose traffic the turn is about."""
    stage: str
    at: str
    """RFC 3339, UTC."""
    outcome: str
    """In one word: `enough`, `promote`, `clean`, `waiting` …"""
    why: str
    """In words, for the person who reads the history."""
    evidence: Mapping[str, Any]
    """Plain JSON; what the following stages go on from."""
