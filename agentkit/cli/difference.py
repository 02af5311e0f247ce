"""What grading a run again changed, on the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from agentkit.cli.terminal import inert, line, output
from agentkit.measure import Summary
from agentkit.measure.group import Group
from agentkit.measure.suite import Figure
from agentkit.measure.wording import percent
from agentkit.play.regrade_run import Change, Difference

_STYLES = {"passed": "green", "success": "green", "failed": "red", "failure": "red"}
_SHOWN = 10


def print_difference(found: Difference, before: Summary, after: Summary) -> None:
    """Print which steps changed, in how many trials, from what to what, and what that makes of the numbers."""
    console = output()
    head = f"  run {found.of.id} graded again: {found.trials} trials, {found.touched} of them changed"
    console.print(Text.assemble((inert(found.run.id), "bold"), inert(head)))
    if found.changed_scenarios:
        console.print(line(f"changed since it was played: {_some(found.changed_scenarios)}"))
    if not found.changes:
        console.print(line("every grade is what it was"))
    for cell in dict.fromkeys((it.scenario, it.variant) for it in found.changes):
        console.print(Text(inert(f"\n{cell[0]} · {cell[1]}"), style="bold"))
        console.print(_changes([it for it in found.changes if (it.scenario, it.variant) == cell]))
    console.print(_numbers(before, after))
    for turn, trials in list(found.reworded.items())[:_SHOWN]:
        console.print(line(f"{turn}: in {trials} trials the user said other words than the scenario has now", "yellow"))


def difference_document(found: Difference, before: Summary, after: Summary) -> dict[str, Any]:
    """The `--json` document of `agentkit grade`."""
    return {
        "run_id": found.run.id,
        "regraded_from": found.of.id,
        "trials": found.trials,
        "trials_changed": found.touched,
        "scenarios_changed": list(found.changed_scenarios),
        "changes": [asdict(it) for it in found.changes],
        "reworded": dict(found.reworded),
        "before": _groups(before),
        "after": _groups(after),
    }


def _groups(summary: Summary) -> dict[str, Any]:
    document = summary.document()
    return {
        group: {name: document[group][name] for name in ("compounded", "observed")}
        for group in ("all", "golden", "off_path")
    }


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _changes(changes: Sequence[Change]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for change in changes:
        name = change.name if change.kind == "step" else f"{change.kind} {change.name}".rstrip()
        trials = f"{change.trials} trial{'s' if change.trials != 1 else ''}"
        table.add_row(Text(inert(f"  {name}")), trials, _status(change.before), "→", _status(change.after))
    return table


def _status(status: str | None) -> Text:
    if status is None:
        return Text("not there", style="dim")
    return Text(status.replace("_", " "), style=_STYLES.get(status, "yellow"))


def _numbers(before: Summary, after: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "compounded before", "after", "observed success before", "after"):
        table.add_column(name, no_wrap=True)
    groups = ("golden path", before.golden, after.golden), ("off the path", before.off_path, after.off_path)
    for name, old, new in (*groups, ("all", before.all, after.all)):
        if old.cells or new.cells:
            table.add_row(Text(name, style="bold"), *_figures(old, new))
    return table


def _figures(old: Group, new: Group) -> tuple[str, ...]:
    return tuple(map(_figure, (old.compounded, new.compounded, old.observed, new.observed)))


def _figure(figure: Figure) -> str:
    if figure.estimate is None or figure.low is None or figure.high is None:
        return "unknown"
    return f"{percent(figure.estimate)} ({percent(figure.low).removesuffix(' %')}–{percent(figure.high)})"
