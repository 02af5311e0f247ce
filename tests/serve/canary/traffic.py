"""Traffic as the router records it, written straight into the store: a canary's conversations, and thumbs for them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import insert

from agentkit.records import ConversationId, Exchange, Feedback, FeedbackKind, ResponseId, Source, Usage
from agentkit.serve.lookup import find_route, route_map
from agentkit.serve.routes.arms import arm_of, target_of
from agentkit.serve.routes.change import newest
from agentkit.store import Store
from agentkit.store.feedback import _row
from agentkit.store.tables import feedback

AT = "2025-06-01T12:00:00.000+00:00"


def exchange(conversation: str, step: str = "refund", agent: str = "till", **changes: object) -> Exchange:
    values: dict[str, object] = {
        "id": ResponseId(f"chatcmpl-{uuid.uuid4().hex}"),
        "conversation": ConversationId(conversation),
        "at": AT,
        "key": "shop",
        "agent": agent,
        "step": step,
        "replica": "one",
        "model": "m",
        "request": {"messages": []},
        "response": {"role": "assistant", "content": "done"},
        "status": 200,
        "usage": Usage(),
        "latency": 0.5,
    }
    return Exchange(**values | changes)  # type: ignore[arg-type]


def thumb(of: Exchange, good: bool, **changes: object) -> Feedback:
    values: dict[str, object] = {
        "id": uuid.uuid4().hex,
        "at": AT,
        "source": Source.USER,
        "by": "shop",
        "kind": FeedbackKind.THUMB,
        "conversation": of.conversation,
        "response": of.id,
        "value": float(good),
    }
    return Feedback(**values | changes)  # type: ignore[arg-type]


def play(
    store: Store,
    *,
    good: Mapping[str, float] | None = None,
    failing: Mapping[str, float] | None = None,
    seconds: Mapping[str, float] | None = None,
    conversations: int = 200,
    step: str = "refund",
    seed: int = 0,
) -> list[Exchange]:
    """Conversations through the newest revision: `good` is each arm's rate of good answers that are judged (None:
    nobody judges), `failing` that of failed requests, `seconds` the mean time they take."""
    revision, rng = newest(store), np.random.default_rng(seed)
    made, said = [], []
    for number in range(conversations):
        name = ConversationId(f"c{seed}-{revision.number}-{number}")
        route = find_route(route_map(revision.routes), "till", step)
        arm = arm_of(route, name)
        failed = failing is not None and rng.random() < failing[arm]
        made.append(
            exchange(
                name,
                step,
                revision=revision.number,
                arm=arm,
                target=target_of(route, arm),
                status=503 if failed else 200,
                latency=float(rng.exponential((seconds or {}).get(arm, 0.5))),
            )
        )
        if good is not None:
            said.append(thumb(made[-1], bool(rng.random() < good[arm])))
    store.add_exchanges(made)
    add_labels(store, said)
    return made


def add_labels(store: Store, labels: Sequence[Feedback]) -> None:
    """All in one transaction; one by one they would take seconds."""
    if labels:
        with store._transaction() as connection:
            connection.execute(insert(feedback), [_row(it) for it in labels])
