"""`agentkit calibrate`: how far an LLM judge agrees with people, so that it may block a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agentkit.cli.options import check_writable, json_option, open_store, store_option, write_json
from agentkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from agentkit.gate.project.calibration import Calibrated
    from agentkit.store import Store

_FIELDS = ("pass", "run", "step", "trial")
_SHOWN = 10
"""Problems of a file that are told at once."""


@click.command("calibrate")
@click.argument("labels", metavar="LABELS.jsonl")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The file to write  [default: that of [tool.agentkit.gate], else reports/judge.json].",
)
@store_option
@json_option
def command(labels: str, output: str | None, store: str | None, json_file: str | None) -> int:
    """Hold human labels against what the judge of recorded runs said of the same steps.

    One label a line: {"run": "last", "trial": 7, "step": "just_answer", "pass": true}; run and trial are named as for
    `agentkit show`. It takes 50 of them at least; exits with 3 below.
    """
    from pathlib import Path

    from agentkit.cli.gating.files import prepare
    from agentkit.config import load_config
    from agentkit.gate.project.calibration import write_calibration

    check_writable(json_file)
    target = output or load_config().gate.calibration
    prepare("-o", target)
    with open_store(store) as opened:
        found = read_labels(Path(labels), opened)
    figures = found.figures
    write_calibration(found, Path(target))
    if json_file is not None:
        write_json(json_file, {"judge": found.judge} | figures.document())
    if json_file != "-":
        click.echo(found.sentence)
        for step in found.labels:
            if (why := found.mistrust(step.replace("#", "/any#"))) is not None:
                click.echo(f"{step} stays advice: {why}")
        click.echo(f"{target}: {figures.labels} labels of {len(found.labels)} steps")
    return ExitCode.PASS


def read_labels(file: Path, store: Store) -> Calibrated:
    """The labels beside what the judge said.

    Raises:
        UsageError: the file cannot be read, or lines of it name no judgement; each problem names its line.
    """
    from collections import Counter
    from datetime import UTC, datetime

    from agentkit.errors import Problem
    from agentkit.gate.project.calibration import Calibrated

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
    counts: dict[str, Counter[tuple[bool, bool]]] = {}
    judges: dict[str, int] = {}
    seen: dict[tuple[str, int, str], int] = {}
    problems = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            label = _label(text, store)
            if (first := seen.setdefault(label.key, number)) != number:
                raise UsageError(f"line {first} labels the same")
            judges.setdefault(label.judge, number)
        except UsageError as error:
            problems.append(str(Problem(str(file), number, "", str(error))))
            continue
        counts.setdefault(label.step, Counter())[label.human, label.judged] += 1
    if len(judges) > 1:
        problems.append(f"{file}: found labels of several judges, {', '.join(sorted(judges))}; expected one a file")
    if problems:
        more = f"\n… and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UsageError("\n".join(problems[:_SHOWN]) + more)
    if not counts:
        raise UsageError(f"{file}: no label, expected one a line")
    orders = ((True, True), (True, False), (False, True), (False, False))
    tables = {step: tuple(it[order] for order in orders) for step, it in sorted(counts.items())}
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return Calibrated(next(iter(judges)), {step: _four(it) for step, it in tables.items()}, moment)


def _four(values: tuple[int, ...]) -> tuple[int, int, int, int]:
    return values[0], values[1], values[2], values[3]


class _Label:
    """One line, beside the grade that it is about."""

    def __init__(self, label: dict[str, Any], run: Any, trial: Any, grade: Any) -> None:
        from agentkit.gate.rows import judge_model
        from agentkit.records import Status

        self.key = (run.id, trial.index, grade.step)
        self.step = f"{trial.key.scenario}#{grade.step}"
        self.judge = judge_model(run) or "unknown"
        self.human: bool = label["pass"]
        self.judged = grade.status is Status.PASSED


def _label(text: str, store: Store) -> _Label:
    """Raises UsageError: what is wrong with the line."""
    import orjson

    from agentkit.errors import near_match
    from agentkit.gate.project.sides import JUDGED_CHECK
    from agentkit.records import Status

    try:
        label = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"not valid JSON: {error.msg}") from None
    if not isinstance(label, dict) or set(label) != set(_FIELDS):
        raise UsageError(f"found {text[:80]!r}, expected a mapping with {', '.join(_FIELDS)}")
    if type(label["pass"]) is not bool:
        raise UsageError(f"pass: found {label['pass']!r}, expected true or false")
    run = store.run(str(label["run"]))
    trial = store.trial(run.id, str(label["trial"]))
    grades = {grade.step: grade for grade in (*trial.steps, *trial.outcome)}
    judged = {name: grade for name, grade in grades.items() if grade.check == JUDGED_CHECK}
    name = str(label["step"])
    if name not in grades:
        raise UsageError(f"step: trial {trial.index} has no step {name!r}{near_match(name, judged or grades)}")
    if name not in judged:
        known = near_match(name, judged)
        raise UsageError(f"step: {name!r} was decided by {grades[name].check}, not by a judge{known}")
    if judged[name].status not in (Status.PASSED, Status.FAILED):
        raise UsageError(f"step: the judge could say nothing of {name!r}: {judged[name].reason}")
    return _Label(label, run, trial, judged[name])
