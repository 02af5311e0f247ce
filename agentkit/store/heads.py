"""Exchanges without their bodies, for whoever need not know what was said."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, select

from agentkit.records import ConversationId, ResponseId, Target, TargetKind
from agentkit.store.database import Database
from agentkit.store.moment import moment
from agentkit.store.storable import text
from agentkit.store.tables import exchanges


@dataclass(frozen=True, slots=True)
class Head:
    """Whose an exchange is, which step it was, and what answered."""

    id: ResponseId
    conversation: ConversationId
    at: str
    key: str
    agent: str
    step: str
    target: Target
    answered: bool
    """Whether there is a response, and it did not break off."""


class Heads(Database):
    """The store's methods for exchanges without their bodies."""

    def heads(
        self,
        *,
        id: str | None = None,
        conversation: str | None = None,
        since: str | None = None,
        agent: str | None = None,
        step: str | None = None,
    ) -> list[Head]:
        """Those of exchanges, in the order in which they came in. `since` (itself included): an RFC 3339 time."""
        c = exchanges.c
        answered = and_(c.response.is_not(None), c.error.is_(None))
        columns = c.id, c.conversation, c.at, c.key, c.agent, c.step, c.target_kind, c.target, answered
        query = select(*columns).order_by(c.at, c.exchange)
        wanted = {c.id: id, c.conversation: conversation, c.agent: agent, c.step: step}
        for column, value in wanted.items():
            query = query if value is None else query.where(column == text(value))
        query = query if since is None else query.where(c.at >= moment(since, "since"))
        with self._transaction() as connection:
            return [
                Head(
                    ResponseId(id),
                    ConversationId(talk),
                    at,
                    key,
                    agent,
                    step,
                    Target(TargetKind(kind), name),
                    bool(known),
                )
                for id, talk, at, key, agent, step, kind, name, known in connection.execute(query)
            ]
