"""What was seen of one route's traffic: requests, and what was said of them. The canary's judge reads this."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Select, select

from agentkit.records import ANY, Arm, ConversationId, FeedbackKind, ResponseId, Source
from agentkit.store.database import Database
from agentkit.store.moment import moment
from agentkit.store.tables import exchanges, feedback


@dataclass(frozen=True, slots=True)
class SeenExchange:
    """A request, as far as the judge of a canary looks at it."""

    id: ResponseId
    at: str
    """When it came in. RFC 3339, UTC, to the millisecond: texts compare as times do."""
    conversation: ConversationId
    revision: int
    arm: Arm
    agent: str
    step: str
    status: int
    error: str | None
    latency: float
    """Seconds."""
    first_token: float | None = None
    """Seconds to the first piece of a streamed answer."""


@dataclass(frozen=True, slots=True)
class SeenLabel:
    """A judgement, as far as the judge of a canary looks at it."""

    at: str
    """When it was given; as in SeenExchange."""
    conversation: ConversationId
    response: ResponseId | None
    step: str
    source: Source
    by: str
    kind: FeedbackKind
    value: float | None
    details: Mapping[str, Any] | None = None
    """As recorded; by which rule it was given to its step, for one."""


class Observed(Database):
    """The store's methods for those who judge a route by its traffic."""

    def seen_exchanges(
        self,
        revisions: Collection[int] | None = None,
        *,
        agent: str = ANY,
        step: str = ANY,
        since: str | None = None,
    ) -> list[SeenExchange]:
        """Requests under these revisions (None: any) in their order of recording; `*` is any agent or step, and `since`
        (RFC 3339) leaves out what came in before."""
        e = exchanges.c
        columns = (
            e.id, e.at, e.conversation, e.revision, e.arm, e.agent, e.step, e.status, e.error, e.latency, e.first_token
        )  # fmt: skip
        query = _of(select(*columns), revisions, agent, step).order_by(e.exchange)
        query = query if since is None else query.where(e.at >= moment(since, "since"))
        with self._transaction() as connection:
            return [
                SeenExchange(ResponseId(id), at, ConversationId(conversation), revision, Arm(arm), *rest)
                for id, at, conversation, revision, arm, *rest in connection.execute(query)
            ]

    def seen_labels(self, revisions: Collection[int], *, agent: str = ANY, step: str = ANY) -> list[SeenLabel]:
        """Judgements of all conversations with such a request, in the order in which they came in: of the step, of
        other steps, and of the whole."""
        f = feedback.c
        columns = (f.at, f.conversation, f.response, f.step, f.source, f.by, f.kind, f.value, f.details)
        talks = _of(select(exchanges.c.conversation), revisions, agent, step)
        query = select(*columns).where(f.conversation.in_(talks)).order_by(f.feedback)
        with self._transaction() as connection:
            return [
                SeenLabel(
                    at,
                    ConversationId(talk),
                    response,
                    step,
                    Source(source),
                    by,
                    FeedbackKind(kind),
                    value,
                    None if details is None else orjson.loads(details),
                )
                for at, talk, response, step, source, by, kind, value, details in connection.execute(query)
            ]


def _of(query: Select[Any], revisions: Collection[int] | None, agent: str, step: str) -> Select[Any]:
    e = exchanges.c
    query = query if revisions is None else query.where(e.revision.in_(revisions))
    query = query if agent == ANY else query.where(e.agent == agent)
    return query if step == ANY else query.where(e.step == step)
