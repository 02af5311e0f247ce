"""One trial on the terminal: the conversation turn by turn, each step's grade where it was decided, and why."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from agentkit.cli.terminal import inert, line
from agentkit.records import Message, Status, StepGrade, Trial, Verdict

_MARKS = {
    Status.PASSED: ("✓", "green"),
    Status.FAILED: ("✗", "red"),
    Status.UNGRADED: ("?", "yellow"),
    Status.NOT_REACHED: ("–", "dim"),
}
_VERDICTS = {Verdict.SUCCESS: "green", Verdict.FAILURE: "red", Verdict.INVALID: "yellow", Verdict.OPEN: "cyan"}


def print_trial(trial: Trial, console: Console) -> None:
    """Print the whole trial."""
    _print_head(trial, console)
    given = 0 if trial.fork is None else trial.fork.given
    turns = sorted({message.turn for message in trial.messages if message.turn >= 0})
    for turn in turns:
        is_given = trial.fork is not None and turn < trial.fork.turn
        console.print(Text.assemble((f"\nturn {turn + 1}", "bold"), ("  given" if is_given else "", "dim")))
        for place, message in enumerate(trial.messages):
            if message.turn == turn:
                print_message(message, console, given=place < given)
        print_grades((grade for grade in trial.steps if grade.turn == turn), console)
    later = [grade for grade in trial.steps if grade.turn is None or grade.turn not in turns]
    if later:
        console.print(Text("\nnot reached", style="bold"))
        print_grades(later, console)
    if trial.fork is None:
        console.print(Text("\noutcome", style="bold"))
        print_grades(trial.outcome, console)


def _print_head(trial: Trial, console: Console) -> None:
    key = trial.key
    head = Text.assemble(
        (inert(f"{key.scenario}/{key.variant}"), "bold"),
        f"  trial {trial.index} ({trial.id})  ",
        (trial.verdict.value, _VERDICTS[trial.verdict]),
    )
    console.print(head)
    facts = [f"instance {key.instance}", f"repeat {key.repeat}", f"{trial.model_calls} model calls"]
    if trial.started_at:  # a recording from elsewhere may know none of these
        facts += [f"{trial.usage.total} tokens", f"{trial.duration:.1f} s"]
    facts += [f"trace {trial.trace_id}"] if trial.trace_id else []
    console.print(line("  ".join(facts), "dim"))
    variables = ", ".join(f"{name}={value}" for name, value in trial.variables.items())
    console.print(line(variables, "dim"))
    if trial.reason:
        fault = f"{trial.stop.value}, at fault: {trial.fault}" if trial.fault else trial.stop.value
        console.print(line(f"{fault}: {trial.reason}", "yellow"))


def print_message(message: Message, console: Console, *, given: bool = False) -> None:
    """Print one message; `given`: the golden agent said it, to give a right history."""
    if message.role == "tool":
        what = f"{message.name} failed: {message.content}" if message.error else f"{message.name} → {message.content}"
        console.print(Padding(line(what, "yellow" if message.error else "cyan"), (0, 0, 0, 4)))
        return
    if message.reasoning:
        console.print(Padding(line(f"(thinks) {message.reasoning}", "dim italic"), (0, 0, 0, 4)))
    if message.content or not message.tool_calls:
        who = {"assistant": "golden agent" if given else "agent"}.get(message.role, inert(message.role))
        console.print(Text.assemble((f"{who}: ", "bold"), inert(message.content) or "(says nothing)"))
    for call in message.tool_calls:
        arguments = call.raw if call.arguments is None else orjson.dumps(call.arguments).decode()
        console.print(Padding(line(f"calls {call.name} {arguments}", "cyan"), (0, 0, 0, 4)))


def print_grades(grades: Iterable[StepGrade], console: Console) -> None:
    """Print how steps went, and where one failed what was expected and found."""
    for grade in grades:
        mark, style = _MARKS[grade.status]
        text = Text.assemble((f"  {mark} {inert(grade.step)}", style), f"  {inert(f'{grade.check}: {grade.reason}')}")
        console.print(text)
        if grade.status is Status.FAILED:
            for label, value in (("expected", grade.expected), ("found", grade.found)):
                if value is not None:
                    shown = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
                    console.print(Padding(line(f"{label}: {shown}", "dim"), (0, 0, 0, 6)))
