"""Traces that other instrumentations wrote, put together to conversations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentkit.ingest import dialect_flat, dialect_genai
from agentkit.ingest.joined import Talk, session_talk, sessions_from_prefixes
from agentkit.ingest.otlp import OtlpSpan
from agentkit.ingest.said import Chat, Said, records
from agentkit.ingest.ungraded import ungraded_trial
from agentkit.records import Message, RunId, Trial
from agentkit.tracing import attributes as names

_DIALECTS = (dialect_genai.messages, dialect_flat.openinference, dialect_flat.traceloop)
_SESSIONS = (
    names.CONVERSATION_ID,
    names.SESSION_ID,
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.thread_id",
    "traceloop.association.properties.conversation_id",
    "traceloop.association.properties.chat_id",
)
_Seen = dict[tuple[Said, str | None, str | None], Said]
"""Messages that were met before, each kept once although every later request repeats it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The requests of one foreign trace."""

    spans: Sequence[OtlpSpan]
    chats: tuple[Chat, ...]
    service: str
    """Whose requests they are."""
    session: str | None
    whole: bool
    """Whether every span's parent is there."""

    @property
    def start(self) -> int:
        return min(span.start for span in self.spans)

    @property
    def seconds(self) -> float:
        return max(0, max(span.end for span in self.spans) - self.start) / 1e9


def pieces(traces: Iterable[Sequence[OtlpSpan]]) -> list[Piece]:
    """The traces that hold requests to a model, in the order in which they began."""
    seen: _Seen = {}
    found = [piece for spans in traces if (piece := _piece(spans, seen)) is not None]
    return sorted(found, key=lambda piece: (piece.start, piece.spans[0].place))


def conversations(pieces: Sequence[Piece]) -> list[tuple[str, list[Piece]]]:
    """(name, its traces in order): those of one session, and those without one that go on from each other."""
    named: dict[str, list[Piece]] = defaultdict(list)
    alone: dict[int, Piece] = {}
    for piece in pieces:
        if piece.session is not None:
            named[piece.session].append(piece)
        else:
            alone[id(piece.chats)] = piece
    joined = [
        [alone[id(chats)] for chats in session]
        for session in sessions_from_prefixes(piece.chats for piece in alone.values())
    ]
    found = [*named.items(), *((parts[0].spans[0].trace, parts) for parts in joined)]
    return sorted(found, key=lambda it: (it[1][0].start, it[1][0].spans[0].place))


def conversation_trial(service: str, conversation: str, parts: Sequence[Piece], index: int) -> Trial:
    talk = session_talk(part.chats for part in parts)
    messages = records(talk.said, talk.chats, system=talk.system)
    return ungraded_trial(
        RunId(""),
        index,
        source="otel",
        agent=service,
        conversation=conversation,
        messages=_with_tool_spans(messages, [span for part in parts for span in part.spans]),
        started=parts[0].start / 1e9,
        seconds=sum(part.seconds for part in parts),
        trace=parts[0].spans[0].trace,
        more=_aside(talk),
    )


def _aside(talk: Talk) -> str:
    if not talk.aside:
        return ""
    return f"{talk.aside} requests inside its traces are not of this conversation, and left out"


def _piece(spans: Sequence[OtlpSpan], seen: _Seen) -> Piece | None:
    """None where a trace holds no request to a model."""
    parents = {span.id: span.parent for span in spans}
    found = [(span, said) for span in spans if (said := _said(span, seen)) is not None]
    requests = {span.id for span, _ in found}
    chats = [
        Chat(span.id, span.trace, span.start, span.place, said[0], said[1], dialect_genai.model_call(span))
        for span, said in found
        if not _within(span.parent, requests, parents)
    ]
    if not chats:
        return None
    chats.sort(key=lambda chat: (chat.start, chat.place))
    asking = next(span for span in spans if span.place == chats[0].place)
    return Piece(
        spans,
        tuple(chats),
        _service_name(asking, spans),
        next((session for span in spans if (session := _session(span)) is not None), None),
        all(parent is None or parent in parents for parent in parents.values()),
    )


def _said(span: OtlpSpan, seen: _Seen) -> tuple[tuple[Said, ...], tuple[Said, ...]] | None:
    """(inputs, outputs) in the first dialect that knows the span; None where none does."""
    found = next((said for dialect in _DIALECTS if (said := dialect(span)) is not None), None)
    if found is None:
        return None
    inputs, outputs = (
        tuple(seen.setdefault((said, said.name, said.reasoning), said) for said in side) for side in found
    )
    return inputs, outputs


def _within(parent: str | None, requests: set[str], parents: Mapping[str, str | None]) -> bool:
    """Whether a request is part of another: two instrumentations, of a framework and of its client, see it twice."""
    seen: set[str] = set()
    while parent is not None and parent not in seen:
        if parent in requests:
            return True
        seen.add(parent)
        parent = parents.get(parent)
    return False


def _session(span: OtlpSpan) -> str | None:
    found = next((span.attributes[key] for key in _SESSIONS if span.attributes.get(key)), None)
    return None if found is None else str(found)


def _service_name(asking: OtlpSpan, spans: Sequence[OtlpSpan]) -> str:
    """`service.name` of whoever asked a model first: a trace may go through several services, whose spans stand in any
    order. Where it was never set, the agent's own name."""
    service = str(asking.resource.get("service.name") or "")
    if service and not service.startswith("unknown_service"):
        return service
    agents = (span.attributes.get(names.AGENT_NAME) for span in (asking, *spans))
    return str(next((agent for agent in agents if agent), "") or service or "unknown")


def _with_tool_spans(messages: Sequence[Message], spans: Sequence[OtlpSpan]) -> tuple[Message, ...]:
    """Tool messages with the span that made each: by the call's id, else in order, where there are equally many."""
    tools = [span for span in spans if _tool_name(span) is not None]
    by_id = {span.attributes[names.TOOL_CALL_ID]: span for span in tools if names.TOOL_CALL_ID in span.attributes}
    in_order: dict[str | None, list[OtlpSpan]] = defaultdict(list)
    for span in sorted(tools, key=lambda it: (it.start, it.place)):
        in_order[_tool_name(span)].append(span)
    told: dict[str | None, int] = defaultdict(int)
    for message in messages:
        told[message.name] += message.role == "tool"
    queues = {name: iter(found) for name, found in in_order.items() if len(found) == told[name]}
    return tuple(_made_by(message, by_id, queues) if message.role == "tool" else message for message in messages)


def _made_by(message: Message, by_id: Mapping[str, OtlpSpan], queues: Mapping[str | None, Any]) -> Message:
    queued = next(queues.get(message.name, iter(())), None)
    span = by_id.get(message.tool_call_id or "", queued)
    if span is None:
        return message
    error = str(span.attributes.get(names.ERROR_TYPE) or "error") if span.failed else None
    return replace(message, span_id=span.id, duration=span.seconds, error=error)


def _tool_name(span: OtlpSpan) -> str | None:
    """The tool that a span ran; None where it is no tool's."""
    found = span.attributes
    if (
        found.get(names.OPERATION_NAME) != names.EXECUTE_TOOL
        and found.get(names.SPAN_KIND) != "TOOL"
        and found.get("traceloop.span.kind") != "tool"
    ):
        return None
    keys = (names.TOOL_NAME, "tool.name", "traceloop.entity.name")
    return str(next((found[key] for key in keys if found.get(key)), span.name))
