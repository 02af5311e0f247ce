"""`agentkit show --flaky`: steps that disagree with themselves, with their history, and how often agents get back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from agentkit.cli.terminal import inert, line, output
from agentkit.measure import (
    PASSED,
    UNGRADED,
    Cell,
    FlakyStep,
    Recovered,
    compounded_with_recovery,
    implied_recovery,
    recovered,
)
from agentkit.measure.cell import measure_cell
from agentkit.measure.forked import NOT_WHOLE
from agentkit.measure.history import flakiness
from agentkit.measure.rows import cells
from agentkit.measure.wording import percent
from agentkit.records import Run
from agentkit.store import Store

_SHOWN = 20
_HISTORY = 8


def flaky_document(store: Store, run: Run) -> dict[str, Any]:
    """The `--json` document: the run's flaky steps, and recovery by scenario and variant."""
    mine = cells(store.grades(run.id))
    found = flakiness(store, run, mine)
    return {
        "run_id": run.id,
        "runs": [it.id for it in found.runs],
        "repeated": found.repeated,
        "flaky": [_flaky_document(it) for it in found.steps],
        "recovery": [_recovery(cell, run) for cell in mine],
    }


def print_flaky(told: dict[str, Any]) -> None:
    """Print what the document says."""
    console = output()
    steps = told["flaky"]
    if steps:
        console.print(Text("flaky: passed and failed in the same instance under the same conditions", style="bold"))
        console.print(_table(steps))
        if len(steps) > _SHOWN:
            console.print(line(f"and {len(steps) - _SHOWN} more, in the document that --json writes", "dim"))
    elif told["repeated"]:
        console.print(line("no step is flaky"))
    else:
        console.print(line("no step was graded twice under the same conditions, so flakiness is not known", "yellow"))
    console.print(Text("getting back after a failed step", style="bold"))
    for it in told["recovery"]:
        console.print(line(f"  {it['id']}: {it['sentence']}"))


def _table(steps: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("step", overflow="fold")
    table.add_column("instances that did both", justify="right")
    table.add_column("passed/graded by run, oldest first", overflow="fold")
    for it in steps[:_SHOWN]:
        runs = it["history"][-_HISTORY:]
        history = "  ".join(f"{flake['passed']}/{flake['passed'] + flake['failed']}" for flake in runs)
        earlier = "… " if len(it["history"]) > len(runs) else ""
        both = f"{it['flaky']} of {it['repeated']} ({percent(it['rate'])})"
        table.add_row(Text(inert(it["step"])), both, earlier + history)
    return table


def _flaky_document(it: FlakyStep) -> dict[str, Any]:
    history = [{name: getattr(flake, name) for name in ("run", "passed", "failed", "flaky")} for flake in it.history]
    return {"step": it.step, "flaky": it.flaky, "repeated": it.repeated, "rate": it.rate, "history": history}


def _recovery(cell: Cell, run: Run) -> dict[str, Any]:
    """How often conversations with a failed step succeeded all the same, and the chain that explains it."""
    found = recovered(cell)
    accuracy = measure_cell(cell, deterministic=run.deterministic, seed=run.seed).steps.accuracy
    judged = cell.success != UNGRADED
    observed = float((cell.success[judged] == PASSED).mean()) if judged.any() else None
    known = observed is not None and len(accuracy) > 0 and bool((accuracy == accuracy).all())
    implied = implied_recovery(accuracy, observed, "skip_ahead") if known and observed is not None else None
    compounded = compounded_with_recovery(accuracy, 0.0, "skip_ahead") if known else None
    again = compounded_with_recovery(accuracy, found.rate, "skip_ahead") if known and found.rate is not None else None
    return {
        "id": cell.id,
        "failed": found.failed,
        "recovered": found.recovered,
        "rate": found.rate,
        "low": found.low,
        "high": found.high,
        "compounded": compounded,
        "with_recovery": again,
        "implied_recovery": implied,
        "sentence": NOT_WHOLE.reason if cell.forks is not None else _sentence(found, compounded, again, implied),
    }


def _sentence(found: Recovered, compounded: float | None, again: float | None, implied: float | None) -> str:
    if found.rate is None:
        return "no conversation had a failed step"
    told = (
        f"{found.recovered} of {found.failed} conversations with a failed step succeeded all the same "
        f"({percent(found.rate)}, {percent(found.low).removesuffix(' %')}–{percent(found.high)})"
    )
    if compounded is not None and again is not None:
        told += f"; compounded {percent(compounded)}, {percent(again)} where each failed step is got over as often"
    if implied is not None:
        told += f"; getting over {percent(implied)} of failed steps explains the observed success"
    return told
