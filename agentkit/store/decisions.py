"""What the loop decided, in the order in which it did."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import Row, insert, select

from agentkit.records import Decision, TurnId
from agentkit.store.database import Database
from agentkit.store.storable import json, text
from agentkit.store.tables import decisions


class Decisions(Database):
    """The store's methods for the loop."""

    def add_decision(self, it: Decision) -> None:
        """Record what a stage came to; what it came to before stays."""
        row = {
            "turn": text(it.turn),
            "agent": text(it.agent),
            "stage": text(it.stage),
            "at": it.at,
            "outcome": text(it.outcome),
            "why": text(it.why),
            "evidence": json(it.evidence),
        }
        with self._transaction() as connection:
            connection.execute(insert(decisions).values(row))

    def decisions(
        self,
        turn: TurnId | None = None,
        *,
        agent: str | None = None,
        outcomes: Collection[str] | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """The newest decisions, oldest first: of one turn, of one agent, with some outcomes, or all."""
        query = select(decisions).order_by(decisions.c.decision.desc()).limit(limit)
        if turn is not None:
            query = query.where(decisions.c.turn == text(turn))
        if agent is not None:
            query = query.where(decisions.c.agent == text(agent))
        if outcomes is not None:
            query = query.where(decisions.c.outcome.in_(sorted(outcomes)))
        with self._transaction() as connection:
            return [_read(row) for row in reversed(connection.execute(query).all())]


def _read(row: Row[Any]) -> Decision:
    return Decision(TurnId(row.turn), row.agent, row.stage, row.at, row.outcome, row.why, orjson.loads(row.evidence))
