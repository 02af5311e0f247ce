"""What came of a replay, on the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from agentkit.cli.conversation import print_grades, print_message
from agentkit.cli.terminal import inert, line, output
from agentkit.measure import wilson
from agentkit.measure.wording import percent
from agentkit.play.replay import Replay
from agentkit.records import Status


@dataclass(frozen=True, slots=True)
class Tally:
    """One step of the turn over all samples."""

    step: str
    passed: int
    graded: int
    ungraded: int
    effective: float
    """Independent samples that `graded` is worth: at temperature 0 they are one."""
    low: float
    high: float
    recorded: str | None
    """How it went in the recorded trial; None where the scenario did not have it then."""

    @property
    def accuracy(self) -> float | None:
        return self.passed / self.graded if self.graded else None


def tallies(found: Replay, *, deterministic: bool) -> list[Tally]:
    """Every step of the turn, with Wilson's interval: of this very moment, not of others like it."""
    recorded = {grade.step: grade.status.value for grade in found.trial.steps}
    names = dict.fromkeys(grade.step for sample in found.samples for grade in sample.steps)
    made = []
    for name in names:
        statuses = [grade.status for sample in found.samples for grade in sample.steps if grade.step == name]
        passed, failed = statuses.count(Status.PASSED), statuses.count(Status.FAILED)
        graded = passed + failed
        effective = float(min(graded, 1) if deterministic else graded)
        low, high = wilson(passed / graded * effective if graded else 0, effective)
        ungraded = statuses.count(Status.UNGRADED)
        made.append(Tally(name, passed, graded, ungraded, effective, float(low), float(high), recorded.get(name)))
    return made


def replay_document(found: Replay, agent: str, *, deterministic: bool) -> dict[str, Any]:
    """Plain JSON: who was asked, each sample, and the tally of every step of the turn."""
    return {
        "run": found.trial.run,
        "trial": found.trial.id,
        "scenario": found.trial.key.scenario,
        "variant": found.trial.key.variant,
        "step": found.recorded.step,
        "turn": found.turn,
        "agent": agent,
        "deterministic": deterministic,
        "recorded": asdict(found.recorded),
        "differences": list(found.differences),
        "stopped": found.stopped or None,
        "samples": [asdict(sample) for sample in found.samples],
        "steps": [{**asdict(it), "accuracy": it.accuracy} for it in tallies(found, deterministic=deterministic)],
    }


def print_replay(found: Replay, agent: str, *, deterministic: bool) -> None:
    """Print each sample, then every step of the turn beside what was recorded."""
    console, key = output(), found.trial.key
    head = f"  trial {found.trial.index} ({found.trial.id})  turn {found.turn + 1}, played again by {agent}"
    console.print(Text.assemble((inert(f"{key.scenario}/{key.variant}"), "bold"), inert(head)))
    for words in found.differences:
        console.print(line(f"the world may not be what it was: {words}", "yellow"))
    for number, sample in enumerate(found.samples, start=1):
        console.print(Text(f"\nsample {number}", style="bold"))
        for message in sample.messages:
            print_message(message, console)
        print_grades(sample.steps, console)
        if sample.reason:
            console.print(line(f"  {sample.stop.value}: {sample.reason}", "yellow"))
    _print_tallies(found, console, deterministic=deterministic)


def _print_tallies(found: Replay, console: Console, *, deterministic: bool) -> None:
    rows = tallies(found, deterministic=deterministic)
    width = max((len(it.step) for it in rows), default=0)
    console.print(line(f"\n  {'step':<{width}}  passed   accuracy  95% interval  recorded", "dim"))
    for it in rows:
        accuracy = "–" if it.accuracy is None else percent(it.accuracy)
        span = f"{percent(it.low).removesuffix(' %')}–{percent(it.high)}"
        count = f"{it.passed} of {it.graded}"
        style = "bold" if it.step == found.recorded.step else ""
        text = f"  {it.step:<{width}}  {count:<7}  {accuracy:>8}  {span:<12}  {it.recorded or 'not there'}"
        console.print(line(text, style))
    invalid = sum(not sample.steps for sample in found.samples)
    if invalid:
        console.print(line(f"{invalid} samples are invalid and count neither way", "yellow"))
    if found.stopped:
        console.print(line(f"stopped: {found.stopped}", "yellow"))
    if deterministic and len(found.samples) > 1:
        console.print(line("the agent is deterministic, so all samples count as one", "yellow"))
