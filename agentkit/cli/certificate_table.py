"""A promotion certificate in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentkit.grade.text import inert
from agentkit.measure.wording import percent

_QUIET = {"pass": "pass", "not_enough_pairs": "few pairs: pooled"}
"""Outcomes of other steps that are only counted; all of them stand in the page and in the JSON document."""


def print_certificate(document: Mapping[str, Any], adapter: str | None, folder: Path) -> None:
    """The verdict, the figures behind it, and where the page is."""
    console = Console(highlight=False, soft_wrap=True, width=120)
    console.print(Text(inert(document["sentence"])))
    for reason in document["reasons"]:
        console.print(Text(f"  {inert(reason)}"))
    if document["target"]["difference"] is not None:
        console.print(_figures(document))
    for note in document["notes"]:
        console.print(Text(inert(note)))
    if adapter is not None:
        console.print(Text(f"adapter {adapter}; play with it: agentkit run --agent {_agent(document)}"))
    console.print(Text(f"certificate: {folder / 'certificate.html'}"))


def print_curve(points: Sequence[Mapping[str, Any]]) -> None:
    """What each further example buys."""
    table = Table(box=None, pad_edge=False)
    for name in ("examples", "before", "after", "gain", "interval", "verdict"):
        table.add_column(name, justify="right")
    for it in points:
        gain = it["difference"]
        table.add_row(
            str(it["examples"]), *(_share(it[name]) for name in ("before", "after")), *_gain(gain), it["verdict"]
        )
    Console(highlight=False).print(table)


def _figures(document: Mapping[str, Any]) -> Table:
    """The target, the whole, and of the other steps those that did not simply pass."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in ("before", "after", "difference", "interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    rows = [(f"step {document['target']['step']}", document["target"])]
    rows += [
        (f"  of it {name.replace('_', ' ')}", {"before": None, "after": None, "difference": it})
        for name, it in document["credit"].items()
    ]
    if document.get("given_right_history") is not None:
        rows.append(("  given a right history", document["given_right_history"]))
    rows += list(document["end_to_end"].items())
    quiet = Counter(it["outcome"] for it in document["others"] if it["outcome"] in _QUIET)
    rows += [(it["step"], it) for it in document["others"] if it["outcome"] not in _QUIET]
    if document["general"] is not None:
        rows.append(("general prompts", document["general"]))
    for name, it in rows:
        shares = _share(it["before"]), _share(it["after"])
        table.add_row(Text(inert(str(name))), *shares, *_gain(it["difference"]), str(it.get("outcome", "")))
    for outcome, count in quiet.items():
        table.add_row(f"{count} other step{'s' if count != 1 else ''}", "", "", "", "", _QUIET[outcome])
    return table


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _gain(it: Mapping[str, Any] | None) -> tuple[str, str]:
    if it is None:
        return "–", ""
    low, high = it["low"], it["high"]
    ends = "" if low is None or high is None else f"{100 * low:+.1f} to {100 * high:+.1f}"
    return ("–" if it["estimate"] is None else f"{100 * it['estimate']:+.1f}"), ends


def _agent(document: Mapping[str, Any]) -> str:
    return str(document["after"]).partition(" ")[0]
