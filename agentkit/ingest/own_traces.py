"""Traces that `agentkit run` wrote, back to the trials that they tell of.

A turn's span holds the turn's messages, the spans of its calls say which answer came from where, and each grade is a
log record inside the span that it names. What a trace does not hold is not made up: variables, the final state, costs,
and what a grade expected and found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentkit.ingest.dialect_genai import json_of, message_list, model_call
from agentkit.ingest.otlp import OtlpEvent, OtlpSpan
from agentkit.ingest.said import records
from agentkit.ingest.ungraded import moment, number
from agentkit.records import (
    Disturbance,
    Effect,
    Message,
    Party,
    RunId,
    Status,
    StepGrade,
    Stop,
    Trial,
    TrialId,
    TrialKey,
    Usage,
    Verdict,
)
from agentkit.tracing import attributes as names

SCOPE = "agentkit"
_NOT_IN_TRACE = "its grade is not in the trace, which has no log records"


class NotWhole(ValueError):
    """A trace of which a part is missing; the message says which."""


@dataclass(frozen=True, slots=True)
class OwnTrace:
    """The spans of one trial."""

    root: OtlpSpan
    turns: tuple[OtlpSpan, ...]
    """In order."""
    children: Mapping[str, tuple[OtlpSpan, ...]]
    """A turn's id → its calls, in order."""

    @property
    def index(self) -> int:
        """Its place in the run."""
        return _trial_index(self.root)

    @property
    def agent(self) -> str:
        return str(self.root.attributes.get(names.AGENT_NAME, ""))


def abandoned(spans: Sequence[OtlpSpan]) -> int | None:
    """The place in its run of a trial that a hard limit ended; None of any other. When the run is taken up again it is
    played anew, in a trace of its own."""
    root = _root(spans)
    if root is None or root.attributes.get(names.ERROR_TYPE) != names.ABANDONED:
        return None
    return _trial_index(root)


def own_trace(spans: Sequence[OtlpSpan]) -> OwnTrace:
    """Raises NotWhole where the trial or one of its turns is missing."""
    root = _root(spans)
    if root is None:
        raise NotWhole("its root span is missing, so the trial had not ended or the file was cut off")
    turns = sorted(
        (span for span in spans if span.attributes.get(names.OPERATION_NAME) == names.INVOKE_AGENT), key=_turn_index
    )
    if root.attributes.get(names.VERDICT) == Verdict.OPEN:
        raise NotWhole("it is a fork, of which one turn was played")
    missing = [index for index, span in enumerate(turns) if _turn_index(span) != index]
    if missing:
        raise NotWhole(f"its turn {missing[0]} is missing")
    children: dict[str, list[OtlpSpan]] = defaultdict(list)
    for span in sorted(spans, key=lambda it: (it.start, it.place)):
        children[span.parent or ""].append(span)
    return OwnTrace(root, tuple(turns), {id: tuple(found) for id, found in children.items()})


def own_trial(trace: OwnTrace, run: RunId, index: int, events: Sequence[OtlpEvent] | None) -> Trial:
    """The trial of a trace. `events`: the trace's log records; None where the source has none at all.

    Raises NotWhole where content was not captured, or a grade is missing.
    """
    found = trace.root.attributes
    messages = tuple(message for turn in trace.turns for message in _messages(turn, trace.children.get(turn.id, ())))
    steps, outcome = _ungraded(trace) if events is None else _grades(trace, events)
    verdict = _verdict(found)
    calls = [message.call for message in messages if message.call is not None]
    known = names.INSTANCE in found
    stop = str(found.get(names.ERROR_TYPE, "")).removeprefix("agentkit.")
    return Trial(
        id=TrialId(""),
        run=run,
        index=index,
        key=TrialKey(
            str(found.get(names.SCENARIO_ID, "")),
            str(found.get(names.VARIANT, "")),
            int(found[names.INSTANCE]) if known else number(trace.root.trace),
            int(found.get(names.REPEAT, 0)),
        ),
        verdict=verdict,
        stop=Stop(stop) if stop in list(Stop) else Stop.COMPLETED,
        messages=messages,
        steps=steps,
        outcome=outcome,
        variables={},
        usage=sum((call.usage for call in calls), Usage()),
        model_calls=len(calls),
        cost=None,
        started_at=moment(trace.root.start / 1e9),
        duration=trace.root.seconds,
        trace_id=trace.root.trace,
        conversation_id=str(found.get(names.CONVERSATION_ID, "")),
        fault=_fault(found, verdict),
        reason=str(found.get(names.REASON, "")),
        disturbances=_disturbances(json_of(found.get(names.DISTURBANCES))),
    )


def _root(spans: Sequence[OtlpSpan]) -> OtlpSpan | None:
    return next((span for span in spans if span.attributes.get(names.OPERATION_NAME) == names.INVOKE_WORKFLOW), None)


def _trial_index(root: OtlpSpan) -> int:
    index = root.attributes.get(names.TRIAL_INDEX)
    return index if isinstance(index, int) else 0


def _verdict(found: Mapping[str, Any]) -> Verdict:
    told = [verdict for verdict in Verdict if verdict is not Verdict.OPEN]
    if found.get(names.VERDICT) == Verdict.OPEN:
        raise NotWhole("it is a fork: one turn from a history that was given, and no conversation")
    if found.get(names.VERDICT) not in told:
        raise NotWhole(f"found {found.get(names.VERDICT)!r} as its verdict, expected {', '.join(told)}")
    return Verdict(found[names.VERDICT])


def _fault(found: Mapping[str, Any], verdict: Verdict) -> Party | None:
    if found.get(names.FAULT) in list(Party):
        return Party(found[names.FAULT])
    return {Verdict.SUCCESS: None, Verdict.FAILURE: Party.AGENT, Verdict.INVALID: Party.HARNESS}[verdict]


def _turn_index(span: OtlpSpan) -> int:
    index = span.attributes.get(names.TURN_INDEX)
    return index if isinstance(index, int) else -1


def _messages(turn: OtlpSpan, calls: Sequence[OtlpSpan]) -> list[Message]:
    """The messages of a turn, with what its calls' spans know of them."""
    found = turn.attributes
    said = [*message_list(found.get(names.INPUT_MESSAGES)), *message_list(found.get(names.OUTPUT_MESSAGES))]
    if not said:
        raise NotWhole("its messages were not recorded (OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT)")
    chats = [span for span in calls if span.attributes.get(names.OPERATION_NAME) == names.CHAT]
    tools: dict[Any, list[OtlpSpan]] = defaultdict(list)
    for span in calls:
        if span.attributes.get(names.OPERATION_NAME) == names.EXECUTE_TOOL:
            tools[span.attributes.get(names.TOOL_CALL_ID)].append(span)
    answers = [span for span in chats if not span.failed]
    made = iter(answers if len(answers) == sum(it.role == "assistant" for it in said) else ())
    messages = []
    for message in records(said, {}):
        message = replace(message, turn=_turn_index(turn))
        if message.role == "assistant" and (chat := next(made, None)) is not None:
            message = replace(message, span_id=chat.id, call=model_call(chat))
        elif message.role == "tool" and tools[message.tool_call_id]:
            tool = tools[message.tool_call_id].pop(0)
            error = tool.attributes.get(names.ERROR_TYPE)
            error = None if error is None else str(error)
            message = replace(message, span_id=tool.id, error=error, duration=tool.seconds)
        messages.append(message)
    return _disturbed(messages, json_of(found.get(names.DISTURBED)))


def _disturbed(messages: list[Message], told: Any) -> list[Message]:
    """The messages with what detours of the catalogue did to them."""
    for place, it in told.items() if isinstance(told, dict) else ():
        if place.isdecimal() and int(place) < len(messages) and isinstance(it, dict):
            message = messages[int(place)]
            planted, original, failures = (it.get(key) for key in ("planted", "original", "failures"))
            call = message.call
            if call is not None and isinstance(failures, list):
                call = replace(call, failures=tuple(map(str, failures)))
            messages[int(place)] = replace(
                message,
                planted=None if planted is None else str(planted),
                original=None if original is None else str(original),
                call=call,
            )
    return messages


def _disturbances(told: Any) -> tuple[Disturbance, ...]:
    """What became of each detour of the catalogue. Raises NotWhole where that cannot be read."""
    try:
        return tuple(Disturbance(**{**it, "effect": Effect(it["effect"])}) for it in told or ())
    except (TypeError, ValueError, KeyError) as error:
        raise NotWhole(f"what became of its detours cannot be read: {error}") from None


def _ungraded(trace: OwnTrace) -> tuple[tuple[StepGrade, ...], tuple[StepGrade, ...]]:
    """The steps that the spans name, without their grades; outcome checks are named in log records alone."""
    steps = [
        StepGrade(step, Status.UNGRADED, "none", _NOT_IN_TRACE, turn=_turn_index(turn), fault=Party.HARNESS)
        for turn in trace.turns
        for step in _named(turn, trace.children.get(turn.id, ()))
    ]
    return tuple(steps), ()


def _named(turn: OtlpSpan, calls: Sequence[OtlpSpan]) -> list[str]:
    """The steps that a turn's spans say they met."""
    told = [str(span.attributes[names.STEP_NAME]) for span in (*calls, turn) if names.STEP_NAME in span.attributes]
    return [step for steps in told for step in steps.split(",")]


def _grades(trace: OwnTrace, events: Sequence[OtlpEvent]) -> tuple[tuple[StepGrade, ...], tuple[StepGrade, ...]]:
    """The grades of steps and of outcome checks."""
    told = [event for event in events if event.name == names.EVALUATION_RESULT]
    due = trace.root.attributes.get(names.GRADES, 0)
    if isinstance(due, int) and len(told) < due:
        raise NotWhole(f"of its {due} grades only {len(told)} are among the log records")
    steps: list[StepGrade] = []
    outcome: list[StepGrade] = []
    for event in told:
        inside = None if event.span == trace.root.id else event.span
        (outcome if event.attributes.get(names.OUTCOME) else steps).append(_grade(event, inside))
    return tuple(steps), tuple(outcome)


def _grade(event: OtlpEvent, span: str | None) -> StepGrade:
    found = event.attributes
    label, score, skill = (found.get(key) for key in (names.EVALUATION_LABEL, names.EVALUATION_SCORE, names.SKILL))
    try:
        status = Status(str(label))
    except ValueError:
        raise NotWhole(f"found the grade {label!r}, expected {', '.join(Status)}") from None
    turn = found.get(names.TURN_INDEX)
    return StepGrade(
        step=str(found.get(names.EVALUATION_NAME, "")),
        status=status,
        check=str(found.get(names.CHECK, "none")),
        reason=str(found.get(names.EVALUATION_EXPLANATION, "")),
        score=float(score) if isinstance(score, int | float) else None,
        turn=turn if isinstance(turn, int) else None,
        skill=None if skill is None else str(skill),
        fault=Party(found[names.FAULT]) if found.get(names.FAULT) in list(Party) else None,
        span_id=span,
    )
