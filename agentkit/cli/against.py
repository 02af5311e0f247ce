"""A forked run beside whole plays, on the terminal and as JSON: what errors cost the steps that follow."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from agentkit.cli.document import document
from agentkit.cli.terminal import inert, line, output
from agentkit.errors import UsageError
from agentkit.measure import Summary
from agentkit.measure.propagation import Cost, Propagation, StepCost, propagation
from agentkit.measure.suite import Figure
from agentkit.measure.wording import percent
from agentkit.records import Run

_SHOWN = 12
_NAMES = {"golden": "golden path", "off_path": "off the path", "all": "all"}


def compare(forked: tuple[Run, Summary], full: tuple[Run, Summary]) -> Propagation:
    """The cost of error propagation between two runs.

    Raises:
        UsageError: the runs are of different agents or scenarios, or not of the two kinds.
    """
    one, other = forked[0], full[0]
    if one.agent_hash != other.agent_hash:
        raise UsageError(f"--against: run {other.id} is of another agent ({other.agent}) than {one.id} ({one.agent})")
    changed = sorted(name for name, it in one.scenarios.items() if other.scenarios.get(name, it) != it)
    if changed:
        raise UsageError(f"--against: between the two runs {', '.join(changed)} changed")
    try:
        return propagation(forked[1], full[1])
    except UsageError as error:
        raise UsageError(f"--against: {error}") from None


def against_document(forked: tuple[Run, Summary], full: tuple[Run, Summary], found: Propagation) -> dict[str, Any]:
    return {"forked": document(*forked), "full": document(*full), "propagation": found.document()}


def print_propagation(found: Propagation) -> None:
    """Print what compounds in both, and the steps that earlier errors cost most."""
    console = output()
    console.print(_groups(found))
    costly = [it for it in found.steps if it.is_clear]
    if costly:
        console.print(Text("steps that earlier errors make worse", style="bold"))
        for it in costly[:_SHOWN]:
            console.print(_step(it))
        if len(costly) > _SHOWN:
            console.print(line(f"  and {len(costly) - _SHOWN} more", "dim"))
    else:
        console.print(line(f"no step of {len(found.steps)} is clearly worse for what went wrong before it"))
    if found.reason:
        console.print(line(found.reason, "yellow"))


def _groups(found: Propagation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "given right histories", "as played", "cost of error propagation", "observed success"):
        table.add_column(name, no_wrap=True)
    for name, it in found.groups.items():
        if it.given.low is not None:
            figures = (_figure(it.given), _figure(it.played), _cost(it.cost), _figure(it.observed))
            table.add_row(Text(_NAMES[name], style="bold"), *figures)
    return table


def _step(it: StepCost) -> Text:
    assert it.given.accuracy is not None
    assert it.played.accuracy is not None
    where = f"{it.given.scenario}/{it.given.variant}#{it.given.step}"
    numbers = f"{percent(it.given.accuracy)} given a right history, {percent(it.played.accuracy)} as played"
    return Text.assemble(f"  {inert(where)}: {numbers}, ", (f"costs {_cost(it.cost)}", "red"))


def _figure(figure: Figure) -> str:
    return "unknown" if figure.estimate is None else percent(figure.estimate)


def _cost(cost: Cost | None) -> str:
    if cost is None:
        return "unknown"
    return f"{100 * cost.estimate:.0f} points ({100 * cost.low:.0f} to {100 * cost.high:.0f})"
