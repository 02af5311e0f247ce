"""The route table and its history, on the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from agentkit.cli.terminal import inert, line, output
from agentkit.measure.wording import percent
from agentkit.records import Revision, Route, Target
from agentkit.serve.canary import CanaryVerdict, CriterionFigures, Judgement
from agentkit.serve.lookup import route_name

Judged = Mapping[tuple[str, str], Judgement | None]
_STYLES = {CanaryVerdict.ROLL_BACK: "bold red", CanaryVerdict.CLEAN: "green", CanaryVerdict.GOING: "yellow"}


def print_table(current: Revision, judged: Judged) -> None:
    """Print every route, and of canaries how they do."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("agent/step", "live", "canary", "share"):
        table.add_column(name, overflow="fold", justify="right" if name == "share" else "left")
    for it in current.routes:
        canary = Text("–") if it.canary is None else Text(inert(str(it.canary)), style="yellow")
        share = "–" if it.canary is None else percent(it.share)
        table.add_row(_name(it), Text(inert(str(it.live)), style="green"), canary, share)
    console = output()
    console.print(table)
    for judgement in judged.values():
        if judgement is not None:
            console.print(_judgement(judgement))
            for figures in judgement.criteria:
                console.print(line(f"  {_figures(figures)}"))
    console.print(line(f"revision {current.number}, {current.created_at}, by {current.by}: {current.why}", "dim"))


def print_history(found: Sequence[Revision], limit: int) -> None:
    """Print revisions, newest first; one more than the limit, so that the last one's change is known."""
    console = output()
    earlier = {it.number: it for it in found}
    for it in found[:limit]:
        told = Text.assemble(
            (f"{it.number:>4}  ", "bold"), (inert(f"{it.created_at}  {it.by}  "), "dim"), inert(it.why)
        )
        console.print(told)
        for change in _changes(earlier[it.number - 1].routes if it.number - 1 in earlier else (), it.routes):
            console.print(line(f"      {change}"))
        evidence = it.evidence or {}
        for missing in evidence.get("forced", ()):
            console.print(line(f"      forced: {missing}", "yellow"))
        if evidence.get("withdrawn"):
            console.print(line("      running conversations were moved, too", "yellow"))
    if not found:
        console.print("the route table has no revision yet: the base model answers everything")


def print_change(before: Revision, after: Revision) -> None:
    """Print what a change did."""
    console = output()
    if before.number == after.number:
        console.print(f"nothing changes: revision {after.number} says so already")
        return
    console.print(line(f"revision {after.number}: {after.why}", "bold"))
    for change in _changes(before.routes, after.routes):
        console.print(line(f"  {change}"))
    for missing in (after.evidence or {}).get("forced", ()):
        console.print(line(f"  forced: {missing}", "yellow"))


def table_document(current: Revision, judged: Judged) -> dict[str, Any]:
    """The `--json` document of `agentkit route`."""
    found = revision_document(current)
    for route in found["routes"]:
        judgement = judged.get((route["agent"], route["step"]))
        route["judgement"] = None if judgement is None else judgement.document()
    return found


def revision_document(it: Revision) -> dict[str, Any]:
    """A revision as plain JSON."""
    return {
        "revision": it.number,
        "created_at": it.created_at,
        "by": it.by,
        "why": it.why,
        "parent": it.parent,
        "evidence": it.evidence,
        "routes": [
            {
                "agent": route.agent,
                "step": route.step,
                "live": _target(route.live),
                "canary": None if route.canary is None else _target(route.canary),
                "share": route.share,
            }
            for route in it.routes
        ],
    }


def _target(it: Target) -> dict[str, str]:
    return {"kind": it.kind.value, "name": it.name}


def _name(it: Route) -> Text:
    return Text(inert(route_name(it.agent, it.step)), style="bold")


def _judgement(it: Judgement) -> Text:
    return Text.assemble(
        (inert(f"{route_name(it.agent, it.step)}: {it.target} for {_ago(it.since)}: "), "bold"),
        (inert(it.sentence), _STYLES[it.verdict]),
    )


def _figures(it: CriterionFigures) -> str:
    good = {
        "feedback": "judged good",
        "step": f"{inert(it.of)} judged good",
        "errors": "answered",
        "latency": "quick enough",
    }[it.name]
    limit = "" if it.limit is None else f" ({it.limit:.3g} s)"
    sides = " beside ".join(f"{percent(side.rate)} of {side.known}" for side in (it.canary, it.live))
    if it.difference is None:
        return f"{good}{limit}: {sides}"
    span = f"{100 * it.difference:+.1f} points ({100 * it.low:+.0f} to {100 * it.high:+.0f})"
    return f"{good}{limit}: {sides}, {span}; evidence that it is worse e = {it.e_value:,.3g} of {it.needed:,.3g}"


def _changes(before: Sequence[Route], after: Sequence[Route]) -> Iterator[str]:
    old, new = ({(it.agent, it.step): it for it in routes} for routes in (before, after))
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if was != now:
            yield f"{route_name(*key)}: {_told(was)} → {_told(now)}" if was else f"{route_name(*key)}: {_told(now)}"


def _told(it: Route | None) -> str:
    if it is None:
        return "no route of its own"
    return str(it.live) if it.canary is None else f"{it.live}, canary {it.canary} {percent(it.share)}"


def _ago(at: str) -> str:
    seconds = max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
