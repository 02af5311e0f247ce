"""Grades: what an agent did in a turn held against the steps expected there, and the world against the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from agentkit.errors import BudgetExhausted, JudgeError
from agentkit.grade.calls import Alignment, Comparison, Normalize, align, compare, matching
from agentkit.grade.judge import Judge
from agentkit.grade.match import MISSING, describe, mismatch
from agentkit.grade.reply import SCHEMA, Condition, reasoning_conditions, reply_conditions
from agentkit.grade.rewarded import CHECK as REWARD
from agentkit.grade.rewarded import moment_of, reward_condition
from agentkit.grade.struck import Counted, counted
from agentkit.grade.text import shortened
from agentkit.records import Message, Party, Status, StepGrade, ToolCall, ToolSpec
from agentkit.redact import redact
from agentkit.scenario import Call, Check, PlayTurn, Reply, Step
from agentkit.scenario.matchers import Operator

_NO_TOOLS: Mapping[str, ToolSpec] = {}
_NO_VARIABLES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What happened in one turn."""

    index: int
    turn: PlayTurn
    messages: tuple[Message, ...]
    """The whole conversation up to the end of this turn."""
    state: Any
    """The world right after the turn, plain JSON."""
    span_id: str | None = None
    """Of the turn's `invoke_agent` span: where a step that nothing met is graded."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """The instance's, for rewards that grade a reply."""

    @property
    def own(self) -> tuple[Message, ...]:
        """The messages of this turn alone."""
        return tuple(message for message in self.messages if message.turn == self.index)


@dataclass(frozen=True, slots=True)
class _Made:
    """The calls that were made in a turn, and what the world answered."""

    counted: Counted
    answers: Mapping[int, Message]
    """By identity of the call."""

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return self.counted.calls

    def answer(self, index: int) -> Any:
        """What the tool said to a call; where a disturbance put other words in its place, what it would have said."""
        result = self.answers.get(id(self.calls[index]))
        if result is None:
            return MISSING
        return tool_answer(_own_words(result))

    def span(self, index: int) -> str | None:
        result = self.answers.get(id(self.calls[index]))
        return None if result is None else result.span_id


async def grade_turn(
    record: TurnRecord, normalize: Normalize, judge: Judge | None, tools: Mapping[str, ToolSpec] = _NO_TOOLS
) -> tuple[StepGrade, ...]:
    """One grade for each step of the turn, in order.

    `normalize` fills in a tool's default arguments. Without a `judge`, steps with a rubric are ungraded. `tools` tells
    which of them only look, where a fault disturbed some.
    """
    wanted = [step for step in record.turn.steps if step.call is not None]
    calls = [step.call for step in wanted if step.call]
    made = _Made(counted(record.messages, record.index, calls, normalize, tools), _by_call(record.own))
    answers = [made.answer(j) for j in range(len(made.calls))] if any(c.result is not None for c in calls) else None
    alignment = align(calls, made.calls, record.turn.order, normalize, answers)
    if made.counted.excused:
        alignment.excuse(made.counted.excused)
    place = {step.id: index for index, step in enumerate(wanted)}
    grades = []
    for step in record.turn.steps:
        if step.call is not None:
            grades.append(_grade_call(step, step.call, place[step.id], alignment, made, record, normalize))
        elif step.reply is not None:
            grades.append(await _grade_reply(step, step.reply, record, judge, tools))
        elif step.state is not None:
            grades.append(_verdict(step, record, state_conditions(step.state, record.state), step.state))
        elif step.no_call is not None:
            grades.append(_grade_no_call(step, alignment, made, record))
        else:
            grades.append(_grade_reasoning(step, record))
    return tuple(grades)


def not_reached(step: Step, reason: str, turn: int | None = None) -> StepGrade:
    """The grade of a step whose turn never began, or, where `turn` is None, that is void."""
    return StepGrade(step.id, Status.NOT_REACHED, "none", reason, turn=turn, skill=step.skill)


def _grade_call(
    step: Step, call: Call, index: int, alignment: Alignment, made: _Made, record: TurnRecord, normalize: Normalize
) -> StepGrade:
    expected = {"name": call.name, "arguments": {name: describe(m) for name, m in call.arguments.items()}}
    if call.result is not None:
        expected["result"] = describe(call.result)
    at = alignment.pairs.get(index)
    extras = alignment.charged.get(index, [])
    if at is None:
        instead = [made.calls[j].name for j in alignment.unmatched]
        found = (
            f"found {', '.join(instead)} instead" if instead else "no call was made" if not made.calls else "it was not"
        )
        comparison = Comparison((f"expected a call of {call.name}; {found}",), 0.0, "call.name")
    elif call.result is None:
        comparison = compare(call, made.calls[at], normalize)
    else:
        comparison = compare(call, made.calls[at], normalize, made.answer(at))
    problems = list(comparison.problems)
    problems += [f"unexpected call of {made.calls[j].name} {shortened(_arguments(made.calls[j]))}" for j in extras]
    met = _shown(made.calls[at]) if at is not None else [_shown(made.calls[j]) for j in alignment.unmatched] or None
    score = comparison.score if not extras else min(comparison.score, 0.5)
    return StepGrade(
        step=step.id,
        status=Status.FAILED if problems else Status.PASSED,
        check="call.extra" if problems and not comparison.problems else comparison.check,
        reason="; ".join(problems) or f"{call.name} was called as expected",
        score=score,
        turn=record.index,
        skill=step.skill,
        expected=expected,
        found=met,
        fault=Party.AGENT if problems else None,
        span_id=(made.span(at) if at is not None else None) or record.span_id,
    )


async def _grade_reply(
    step: Step, reply: Reply, record: TurnRecord, judge: Judge | None, tools: Mapping[str, ToolSpec]
) -> StepGrade:
    answer = _answer(record.own)
    expected = reply.model_dump(exclude_defaults=True)
    span = next((m.span_id for m in reversed(record.own) if m.role == "assistant" and m.span_id), record.span_id)
    try:
        conditions = reply_conditions(reply, answer)
    except JudgeError as error:
        return _ungraded(step, str(error), record.index, span, expected, SCHEMA)
    if reply.reward is not None and all(condition.met for condition in conditions):
        try:
            moment = moment_of(
                reply, step, record.messages, answer, state=record.state, tools=tools, variables=record.variables
            )
            conditions.append(await reward_condition(reply, moment, judge))
        except JudgeError as error:
            return _ungraded(step, str(error), record.index, span, expected, REWARD)
    if reply.judge is not None and all(condition.met for condition in conditions):
        try:
            conditions.append(await _judged(reply.judge, record.messages, judge))
        except JudgeError as error:
            return _ungraded(step, str(error), record.index, span, reply.judge)
    return _verdict(step, record, conditions, expected, shortened(answer), span)


def _grade_no_call(step: Step, alignment: Alignment, made: _Made, record: TurnRecord) -> StepGrade:
    if step.no_call == "any":
        offending = list(range(len(made.calls)))
    elif step.no_call == "other":
        offending = [j for j in alignment.unmatched if j not in made.counted.harmless]
    else:
        forbidden = frozenset(step.no_call or ())
        offending = [j for j, call in enumerate(made.calls) if call.name in forbidden]
    condition = Condition(
        "no_call",
        not offending,
        f"called {', '.join(made.calls[j].name for j in offending)}" if offending else "made no such call",
    )
    span = made.span(offending[0]) if offending else None
    return _verdict(step, record, [condition], step.no_call, [_shown(made.calls[j]) for j in offending], span)


def _grade_reasoning(step: Step, record: TurnRecord) -> StepGrade:
    assert step.reasoning is not None, "the loader admits only steps with exactly one kind"
    text = "\n".join(m.reasoning for m in record.own if m.reasoning)
    if not text:
        return not_reached(step, "void: the model shows no reasoning")
    expected = step.reasoning.model_dump(exclude_defaults=True)
    return _verdict(step, record, reasoning_conditions(step.reasoning, text), expected, shortened(text))


def state_conditions(expected: Mapping[str, Operator], state: Any) -> list[Condition]:
    """Each path of `expected` looked up in `state`."""
    found = []
    for path, matcher in expected.items():
        reason = mismatch(matcher, lookup(state, path))
        found.append(Condition("state", reason is None, f"{path}: {reason or f'is {describe(matcher)}'}"))
    return found


def lookup(state: Any, path: str) -> Any:
    """The value at `path` (parts joined by `/`; list places by number), or `MISSING`."""
    for part in path.split("/"):
        if isinstance(state, Mapping) and part in state:
            state = state[part]
        elif isinstance(state, list) and part.isdecimal() and int(part) < len(state):
            state = state[int(part)]
        else:
            return MISSING
    return state


async def grade_outcome(
    outcome: Sequence[Check],
    messages: Sequence[Message],
    state: Any,
    judge: Judge | None,
    *,
    tools: Mapping[str, ToolSpec] = _NO_TOOLS,
    variables: Mapping[str, Any] = _NO_VARIABLES,
) -> tuple[StepGrade, ...]:
    """One grade for each outcome check, at the end of the conversation.

    `tools` and `variables` (the instance's) are for rewards that grade a reply. A check whose grading fails is
    ungraded, and the harness at fault. Raises BudgetExhausted.
    """
    grades = []
    for check in outcome:
        try:
            grades.append(await _grade_check(check, messages, state, judge, tools, variables))
        except BudgetExhausted:
            raise
        except Exception as error:  # a defect of ours or of what is asked: this check is lost, the run goes on
            reason = shortened(redact(f"it could not be graded: {type(error).__name__}: {error}"), 500)
            grades.append(_ungraded(check, reason, None, None, None, "none", Party.HARNESS))
    return tuple(grades)


async def _grade_check(
    check: Check,
    messages: Sequence[Message],
    state: Any,
    judge: Judge | None,
    tools: Mapping[str, ToolSpec],
    variables: Mapping[str, Any],
) -> StepGrade:
    expected: Any = check.state or check.no_call or [describe(result) for result in check.results or ()]
    if check.state is not None:
        conditions = state_conditions(check.state, state)
    elif check.no_call is not None:
        conditions = [_never_called(check.no_call, messages)]
    elif check.results is not None:
        conditions = _answered(check.results, messages)
    else:
        assert check.reply is not None, "the loader admits only checks with exactly one kind"
        expected = check.reply.model_dump(exclude_defaults=True)
        answer = _answer(messages)
        try:
            conditions = reply_conditions(check.reply, answer)
        except JudgeError as error:
            return _ungraded(check, str(error), None, None, expected, SCHEMA)
        if check.reply.reward is not None and all(condition.met for condition in conditions):
            try:
                moment = moment_of(check.reply, None, messages, answer, state=state, tools=tools, variables=variables)
                conditions.append(await reward_condition(check.reply, moment, judge))
            except JudgeError as error:
                return _ungraded(check, str(error), None, None, expected, REWARD)
        if check.reply.judge is not None and all(condition.met for condition in conditions):
            try:
                conditions.append(await _judged(check.reply.judge, messages, judge))
            except JudgeError as error:
                return _ungraded(check, str(error), None, None, check.reply.judge)
    return _verdict(check, None, conditions, expected)


def _never_called(names: Sequence[str], messages: Sequence[Message]) -> Condition:
    done = [m.name for m in messages if m.role == "tool" and m.error is None and m.name in names]
    return Condition("no_call", not done, f"called {', '.join(map(str, done))}" if done else "made no such call")


def _answered(expected: Sequence[Operator], messages: Sequence[Message]) -> list[Condition]:
    """Each expected answer given to a call of its own."""
    answers = [tool_answer(_own_words(message)) for message in messages if message.role == "tool"]
    fits = [[mismatch(matcher, answer) is None for answer in answers] for matcher in expected]
    met = matching(fits, len(answers))
    return [
        Condition("results", i in met, f"a tool {'answered' if i in met else 'never answered'} {describe(matcher)}")
        for i, matcher in enumerate(expected)
    ]


async def _judged(rubric: str, messages: Sequence[Message], judge: Judge | None) -> Condition:
    if judge is None:
        raise JudgeError("no judge is configured ([tool.agentkit.judge])")
    verdict = await judge.verdict(rubric, messages)
    return Condition("reply.judge", verdict.passed, f"{verdict.reason} (“{shortened(verdict.quotation, 160)}”)")


def _verdict(
    step: Step | Check,
    record: TurnRecord | None,
    conditions: Sequence[Condition],
    expected: Any,
    found: Any = None,
    span: str | None = None,
) -> StepGrade:
    """Passed where every condition is met; the score is the share that is."""
    broken = [condition for condition in conditions if not condition.met]
    return StepGrade(
        step=step.id,
        status=Status.FAILED if broken else Status.PASSED,
        check=broken[0].check if broken else conditions[-1].check,
        reason="; ".join(condition.reason for condition in broken) or _summary(conditions),
        score=(len(conditions) - len(broken)) / len(conditions),
        turn=None if record is None else record.index,
        skill=getattr(step, "skill", None),
        expected=_plain(expected),
        found=found,
        fault=Party.AGENT if broken else None,
        span_id=span or (None if record is None else record.span_id),
    )


def _summary(conditions: Sequence[Condition]) -> str:
    """Why a step passed: the last condition, which is the judge's where there is one, and how many more were met."""
    others = f" (and {len(conditions) - 1} more)" if len(conditions) > 1 else ""
    return f"{conditions[-1].reason}{others}"


def _ungraded(
    step: Step | Check,
    reason: str,
    turn: int | None,
    span: str | None,
    expected: Any,
    check: str = "reply.judge",
    fault: Party = Party.JUDGE,
) -> StepGrade:
    return StepGrade(
        step=step.id,
        status=Status.UNGRADED,
        check=check,
        reason=reason,
        turn=turn,
        skill=getattr(step, "skill", None),
        expected=expected,
        fault=fault,
        span_id=span,
    )


def _by_call(messages: Sequence[Message]) -> dict[int, Message]:
    """Each call's answer. Of calls with the same id, the first that has none yet is answered."""
    asked: list[ToolCall] = []
    found: dict[int, Message] = {}
    for message in messages:
        asked += message.tool_calls
        place = next((i for i, it in enumerate(asked) if it.id == message.tool_call_id), None)
        if message.role == "tool" and place is not None:
            found[id(asked.pop(place))] = message
    return found


def _own_words(answer: Message) -> str:
    """What a tool said itself, whatever a disturbance put in its place."""
    return answer.content if answer.original is None else answer.original


def tool_answer(content: str) -> Any:
    """What a tool said, as JSON; the text itself where it is none."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content


def _answer(messages: Sequence[Message]) -> str:
    return "\n".join(m.content for m in messages if m.role == "assistant" and m.content)


def _plain(expected: Any) -> Any:
    if isinstance(expected, Mapping):
        return {k: describe(v) if isinstance(v, Operator) else v for k, v in expected.items()}
    return expected


def _arguments(call: ToolCall) -> Any:
    return call.raw if call.arguments is None else dict(call.arguments)


def _shown(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": _arguments(call)}
