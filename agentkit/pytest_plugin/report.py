"""Why an item does not pass: the conversation around the failing step, expected against found, and the interval."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from agentkit.grade.text import inert
from agentkit.measure.suite import Figure
from agentkit.pytest_plugin.result import Judgement, Result
from agentkit.records import Message, Status, StepGrade, Trial, Verdict

_TITLES = {
    "fail": "FAILED",
    "inconclusive": "INCONCLUSIVE",
    "could_not_judge": "COULD NOT JUDGE",
}


def failure(result: Result, judgement: Judgement) -> str:
    """The text that pytest shows."""
    return "\n".join(_lines(result, judgement))


def _lines(result: Result, judgement: Judgement) -> Iterator[str]:
    yield f"{_TITLES[judgement.outcome]} {result.id} by {inert(result.run.agent)}: {inert(judgement.reason)}"
    valid, invalid = len(result.valid), len(result.trials) - len(result.valid)
    counted = f"{valid} valid trials" + (f", {invalid} invalid" if invalid else "")
    if valid:
        counted += f"; compounded {_figure(result.compounded)}, observed success {_figure(result.success)}"
    yield counted
    yield from (f"note: {inert(note)}" for note in judgement.notes)
    found = _first_failure(result)
    if found is not None:
        trial, grade = found
        yield ""
        yield f"trial {trial.index} (instance {trial.key.instance}):"
        yield from _conversation(trial, grade)
        if grade is not None:
            yield f"  ✗ {grade.step}  {grade.check}: {inert(grade.reason)}"
            yield f"      expected: {_shown(grade.expected)}"
            yield f"      found:    {_shown(grade.found)}"
            figure = next((it for it in result.summary.steps if it.step == grade.step), None)
            if figure is not None:
                interval = f"{figure.low:.2f} to {figure.high:.2f}"
                yield f"      {figure.passed} of {figure.reached} trials pass this step ({interval} at 95 %)"
        for check in trial.outcome:
            if check.status is Status.FAILED:
                yield f"  ✗ outcome {check.step}  {check.check}: {inert(check.reason)}"
    for trial in (it for it in result.trials if it.verdict is Verdict.INVALID):
        yield f"invalid trial {trial.index}: {trial.fault}: {inert(trial.reason)}"
        break
    yield f"all of it: agentkit show {result.run.id}" + (f" --trial {found[0].index}" if found else "")


def _first_failure(result: Result) -> tuple[Trial, StepGrade | None] | None:
    """The first trial that fails, and its first failed step; None for the step where only the outcome is missed."""
    for trial in result.valid:
        failed = next((grade for grade in trial.steps if grade.status is Status.FAILED), None)
        if failed is not None or trial.verdict is not Verdict.SUCCESS:
            return trial, failed
    return None


def _conversation(trial: Trial, grade: StepGrade | None) -> Iterator[str]:
    """The turn of the failing step and the one before; the last two where only the outcome failed."""
    last = (
        grade.turn if grade is not None and grade.turn is not None else max((m.turn for m in trial.messages), default=0)
    )
    for message in trial.messages:
        if last - 1 <= message.turn <= last and message.role != "system":
            yield from _said(message)


def _said(message: Message) -> Iterator[str]:
    if message.role == "tool":
        yield f"      {inert(message.name or '')} {'failed' if message.error else 'gave'}: {inert(message.content)}"
        return
    if message.content or not message.tool_calls:
        who = "agent" if message.role == "assistant" else inert(message.role)
        yield f"    {who}: {inert(message.content) or '(says nothing)'}"
    for call in message.tool_calls:
        arguments = inert(call.raw or "") if call.arguments is None else _shown(call.arguments)
        yield f"      calls {inert(call.name)} {arguments}"


def _shown(value: object) -> str:
    return inert(value if isinstance(value, str) else orjson.dumps(value, default=str).decode())


def _figure(figure: Figure) -> str:
    if figure.estimate is None or figure.low is None or figure.high is None:
        return "unknown"
    return f"{figure.estimate:.2f} ({figure.low:.2f} to {figure.high:.2f})"
