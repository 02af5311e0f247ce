"""Adapters on the terminal: all in a table, or one in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentkit.cli.terminal import inert, line, output
from agentkit.measure.wording import percent
from agentkit.records import Adapter, AdapterState

if TYPE_CHECKING:
    from agentkit.tune.registry import Left

_STYLES: Mapping[AdapterState, str] = {
    AdapterState.CANDIDATE: "",
    AdapterState.CANARY: "yellow",
    AdapterState.LIVE: "bold green",
    AdapterState.RETIRED: "dim",
}
_NAME = 44
"""Characters of a name that is not broken into two lines, to be copied."""


class Measured(NamedTuple):
    """What a certificate says of the step that the adapter is to repair, in words; `–` where it says nothing."""

    before: str
    after: str
    difference: str
    interval: str
    verdict: str


def print_adapters(found: Sequence[Adapter], left: Sequence[Left]) -> None:
    """Print every adapter, newest first, and folders that the registry does not know."""
    console = output()
    if not found:
        console.print("no adapter is registered yet")
    else:
        console.print(_table(found))
    for folder in left:
        _print_left(folder, console)


def print_adapter(adapter: Adapter, problem: str) -> None:
    """Print one adapter in full; `problem` is what verifying its folder found wrong, '' where nothing."""
    console = output()
    style = _STYLES[adapter.state]
    console.print(Text.assemble((inert(adapter.name), "bold"), "  ", (adapter.state.value, style)))
    for name, value in _facts(adapter):
        console.print(Text.assemble((f"{name:<16}", "dim"), inert(value)))
    if adapter.certificate is not None:
        _print_certificate(adapter.certificate, console)
    else:
        console.print(line("nothing was measured of it yet", "yellow"))
    if problem:
        console.print(line(problem, "bold red"))
    else:
        console.print(line(f"verified: {adapter.path} is what was registered", "green"))


def measured(certificate: Mapping[str, Any] | None) -> Measured:
    """The figures of a certificate, whatever is missing in it."""
    target = _mapping((certificate or {}).get("target"))
    difference = _mapping(target.get("difference"))
    low, high = (_number(difference.get(name)) for name in ("low", "high"))
    before, after = (_number(target.get(name)) for name in ("before", "after"))
    return Measured(
        before=percent(before),
        after=percent(after),
        difference=_signed(_number(difference.get("estimate"))),
        interval="–" if low is None or high is None else f"{_signed(low)} to {_signed(high)}",
        verdict=inert(str((certificate or {}).get("verdict") or "–")),
    )


def _table(found: Sequence[Adapter]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("adapter", "step", "state", "examples", "before → after", "verdict", "age"):
        table.add_column(
            name,
            justify="right" if name in ("examples", "age") else "left",
            overflow="fold",
            no_wrap=name in ("state", "before → after", "age"),
            min_width=max(min(len(it.name), _NAME) for it in found) if name == "adapter" else None,
        )
    for it in found:
        told = measured(it.certificate)
        figures = (
            "not measured"
            if it.certificate is None
            else f"{told.before} → {told.after}\n{_change(told)}".replace(" (", "\n(")
        )
        state = Text(it.state.value, style=_STYLES[it.state])
        if not Path(it.path).is_dir():
            state.append("\nfolder is missing", style="bold red")
        origin = f"of {it.base}" + (f", from {', '.join(it.parents)}" if it.parents else "")
        examples = it.card.get("examples")
        table.add_row(
            Text.assemble((inert(it.name), "bold"), "\n", (inert(origin), "dim")),
            Text(inert(it.step)),
            state,
            Text("–" if examples is None else inert(str(examples))),
            Text(figures),
            Text(told.verdict),
            Text(_age(it.created_at)),
        )
    return table


def _print_left(left: Left, console: Console) -> None:
    if left.problem:
        console.print(line(f"not registered, and cannot be: {left.problem}", "red"))
    else:
        name = left.path.name
        console.print(line(f"not registered: {left.path} (agentkit adapters register {name})", "yellow"))


def _facts(adapter: Adapter) -> Iterator[tuple[str, str]]:
    yield "step", adapter.step
    yield "scenarios", ", ".join(adapter.scenarios) or "not recorded"
    yield "base model", f"{adapter.base}  {adapter.base_hash}"
    yield "started from", ", ".join(adapter.parents) or "the base model"
    yield "trained by", f"job {adapter.job}" if adapter.job else "no job: published by hand"
    yield "created", f"{adapter.created_at}  ({_age(adapter.created_at)} ago)"
    yield "content hash", adapter.hash
    for name, value in adapter.card.items():
        if name == "certificate" or value in (None, "", [], {}):
            continue
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {it}" for key, it in value.items())
        elif isinstance(value, list):
            value = " ".join(str(it) for it in value)
        yield name.replace("_", " "), str(value)


def _print_certificate(certificate: Mapping[str, Any], console: Console) -> None:
    told = measured(certificate)
    console.print(Text.assemble(("verdict         ", "dim"), (told.verdict, "bold")))
    target = _mapping(certificate.get("target"))
    held_out = target.get("held_out")
    more = "" if held_out is None else f", {held_out} held-out instances" if _number(held_out) else f", {held_out}"
    console.print(line(f"  {target.get('step', 'the step')}: {told.before} → {told.after}, {_change(told)}{more}"))
    others = certificate.get("others")
    for name, part in (("end to end", certificate.get("end_to_end")), ("general", certificate.get("general"))):
        if part:
            console.print(line(f"  {name}: {_part(part)}"))
    for part in others if isinstance(others, list) else []:
        console.print(line(f"  {_mapping(part).get('step', 'another step')}: {_part(part)}"))


def _part(part: Any) -> str:
    """Another comparison of the certificate; what has not its form is shown as it is."""
    if not isinstance(part, Mapping) or "before" not in part:
        return str(part)
    told = measured({"target": part, "verdict": part.get("verdict")})
    verdict = "" if told.verdict == "–" else f": {told.verdict}"
    return f"{told.before} → {told.after}, {_change(told)}{verdict}"


def _change(told: Measured) -> str:
    return f"{told.difference} points ({told.interval})"


def _signed(share: float | None) -> str:
    if share is None:
        return "–"
    return f"{'−' if share < 0 else '+'}{100 * abs(share):.1f}" if abs(share) >= 5e-4 else "0"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    """A figure by itself, or the estimate of one."""
    if isinstance(value, Mapping):
        value = value.get("estimate")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _age(created_at: str) -> str:
    """How long ago, roughly: `3 d`, `5 h`, `12 min`."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds()
    except (TypeError, ValueError):
        return "–"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
