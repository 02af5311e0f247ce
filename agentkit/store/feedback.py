"""What users, experts and judges said of responses, steps and conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Row, delete, select

from agentkit.records import ConversationId, Feedback, FeedbackKind, ResponseId, Source
from agentkit.store.database import Database
from agentkit.store.exchanges import chunks, insert_new, is_forgotten
from agentkit.store.moment import moment
from agentkit.store.storable import json, number, optional_json, optional_text, text
from agentkit.store.tables import feedback


class FeedbackRows(Database):
    """The store's methods for feedback."""

    def add_feedback(self, it: Feedback) -> bool:
        """Record a judgement, and say whether it was. Where its id is there already, the first one stays as it is; of a
        conversation that was forgotten nothing is recorded.

        Raises:
            StoreError: `at` is no RFC 3339 time.
        """
        row = _row(it)
        with self._transaction(immediate=True) as connection:
            if connection.dialect.name == "postgresql":
                # No conversation is forgotten between the look at which are and the end of this transaction.
                connection.exec_driver_sql("LOCK TABLE forgotten_conversations IN SHARE MODE")
            return not is_forgotten(connection, row["conversation"]) and insert_new(connection, feedback, [row]) == 1

    def feedback_of(self, id: str) -> Feedback | None:
        """The judgement of that id, or None."""
        with self._transaction() as connection:
            row = connection.execute(select(feedback).where(feedback.c.id == text(id))).one_or_none()
        return None if row is None else _read(row)

    def feedback(
        self,
        *,
        conversation: ConversationId | None = None,
        conversations: Sequence[ConversationId] | None = None,
        response: ResponseId | None = None,
        source: Source | None = None,
        since: str | None = None,
        by: str | None = None,
    ) -> list[Feedback]:
        """Judgements in the order in which they were recorded.

        `since`: an RFC 3339 time, itself included.

        Raises:
            StoreError: `since` is no RFC 3339 time.
        """
        query, c = select(feedback).order_by(feedback.c.feedback), feedback.c
        for column, wanted in ((c.conversation, conversation), (c.response, response), (c.by, by)):
            if wanted is not None:
                query = query.where(column == text(wanted))
        if source is not None:
            query = query.where(c.source == source.value)
        if since is not None:
            query = query.where(c.at >= moment(since, "since"))
        with self._transaction() as connection:
            if conversations is None:
                return [_read(row) for row in connection.execute(query)]
            names = [text(it) for it in dict.fromkeys(conversations)]
            rows = [row for some in chunks(names) for row in connection.execute(query.where(c.conversation.in_(some)))]
        rows.sort(key=lambda row: int(row.feedback))
        return [_read(row) for row in rows]

    def withdraw_feedback(self, id: str, *, by: str) -> bool:
        """Take back one's own judgement; False where there is none of this id by this judge."""
        with self._transaction() as connection:
            gone = delete(feedback).where(feedback.c.id == text(id), feedback.c.by == text(by))
            return bool(connection.execute(gone).rowcount)


def _row(it: Feedback) -> dict[str, Any]:
    """All columns but `feedback`, which the database counts."""
    return {
        "id": text(it.id),
        "at": moment(it.at, "at"),
        "source": it.source.value,
        "by": text(it.by),
        "kind": it.kind.value,
        "conversation": text(it.conversation),
        "response": optional_text(it.response),
        "step": text(it.step),
        "value": number(it.value),
        "answer": optional_json(it.answer),
        "text": text(it.text),
        "details": None if it.details is None else json(it.details),
    }


def _read(row: Row[Any]) -> Feedback:
    return Feedback(
        id=row.id,
        at=row.at,
        source=Source(row.source),
        by=row.by,
        kind=FeedbackKind(row.kind),
        conversation=ConversationId(row.conversation),
        response=None if row.response is None else ResponseId(row.response),
        step=row.step,
        value=row.value,
        answer=None if row.answer is None else orjson.loads(row.answer),
        text=row.text,
        details=None if row.details is None else orjson.loads(row.details),
    )
