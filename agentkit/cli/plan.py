"""`agentkit plan`: before spending, how many trials it takes, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from agentkit.cli.chosen import chosen_scenarios, chosen_variants
from agentkit.cli.options import check_writable, json_option, open_store, store_option, write_json
from agentkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from agentkit.cli.gating.estimate import Estimate
    from agentkit.gate import Plan

_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
_GUESS = 0.9
"""Accuracy that is assumed where nothing tells it."""


@click.command("plan")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--detect", type=_SHARE, metavar="D", help="The drop that must be seen: 0.05 is five points.")
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="Instances of every scenario and variant.")
@click.option("--from", "source", metavar="RUN", help="Estimate by this earlier run.")
@click.option("--agent", metavar="NAME", help="Estimate by this agent's newest run of the scenarios.")
@click.option("--detours", default="own", show_default=True, metavar="WHICH", help="As for `agentkit run`.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only scenarios with this tag. Repeatable.")
@click.option("--accuracy", type=_SHARE, metavar="P", help=f"The baseline's success [that run's, else {_GUESS}].")
@click.option(
    "--discordance", type=_SHARE, metavar="SHARE", help="Of pairs that differ [as if both sides were independent]."
)
@click.option("--power", default=0.8, show_default=True, type=_SHARE, help="Chance to see the drop.")
@click.option("--alpha", default=0.05, show_default=True, type=_SHARE, help="Chance of a false alarm.")
@click.option("--criteria", default=1, show_default=True, type=click.IntRange(min=1), help="That share alpha.")
@click.option("--margin", default=0.1, show_default=True, type=_SHARE, help="Of a claim to be no worse.")
@click.option("--concurrency", default=8, show_default=True, type=click.IntRange(min=1), help="Trials played at once.")
@store_option
@json_option
def command(
    paths: tuple[str, ...],
    detect: float | None,
    trials: int | None,
    source: str | None,
    agent: str | None,
    detours: str,
    tags: tuple[str, ...],
    accuracy: float | None,
    store: str | None,
    json_file: str | None,
    **told: Any,
) -> int:
    """Say what scenarios (files or folders; default: the project's) take: trials, model calls, tokens, cost, time.

    Either the drop is given, or the number of trials: then the smallest drop that they show.
    """
    import asyncio

    from agentkit.cli.gating.estimate import earlier_run, from_golden, from_run
    from agentkit.config import load_config

    check_writable(json_file)
    if (detect is None) == (trials is None):
        raise UsageError("expected either --detect (the drop to see) or --trials (of every scenario and variant)")
    if source is not None and agent is not None:
        raise UsageError("--from and --agent both say whose run to estimate by; expected one")
    scenarios = chosen_scenarios(paths or (load_config().scenarios,), tags)
    cells = chosen_variants(scenarios, detours, left_out="not counted").cells
    with open_store(store) as opened:
        run = earlier_run(opened, source, agent, scenarios)
        estimate = from_run(opened, run, cells) if run else asyncio.run(from_golden(scenarios, cells, 0))
    base = accuracy or estimate.accuracy or _GUESS
    ways = [_way(paired, base, detect, trials, cells, estimate, told) for paired in (True, False)]
    document = _document(ways, base, accuracy, estimate, cells, told)
    if json_file is not None:
        write_json(json_file, document)
    if json_file != "-":
        _print(ways, document)
    return ExitCode.PASS


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of comparing, and what one side of it takes."""

    plan: Plan
    each: int
    """Instances of every scenario and variant."""
    trials: int
    calls: int
    tokens: int | None
    cost: float | None
    seconds: float | None
    """Of the clock, at the given concurrency."""

    def document(self) -> dict[str, Any]:
        names = ("each", "trials", "calls", "tokens", "cost", "seconds")
        return self.plan.document() | {name: getattr(self, name) for name in names}


def _way(
    paired: bool,
    base: float,
    detect: float | None,
    trials: int | None,
    cells: Sequence[tuple[str, str]],
    estimate: Estimate,
    told: dict[str, Any],
) -> _Way:
    from agentkit.gate import plan_drop, plan_trials

    options = {name: told[name] for name in ("criteria", "alpha", "power")}
    options |= {"paired": paired, "discordance": told["discordance"] if paired else None}
    if detect is not None:
        found = plan_trials(base, detect, **options)
        each = -(-found.units // len(cells))
    else:
        assert trials is not None, "refused above"
        found, each = plan_drop(base, trials * len(cells), **options), trials
    known = [estimate.by_cell[cell] for cell in cells]
    tokens, cost, seconds = (
        _times(each, values)
        for values in ([it.tokens for it in known], [it.cost for it in known], [it.seconds for it in known])
    )
    return _Way(
        found,
        each,
        each * len(cells),
        round(each * sum(it.calls for it in known)),
        None if tokens is None else round(tokens),
        cost,
        None if seconds is None else seconds / told["concurrency"],
    )


def _times(each: int, values: Sequence[float | None]) -> float | None:
    """So many plays of every variant; None where any is unknown."""
    known = [value for value in values if value is not None]
    return each * sum(known) if len(known) == len(values) else None


def _document(
    ways: Sequence[_Way],
    base: float,
    accuracy: float | None,
    estimate: Estimate,
    cells: Sequence[tuple[str, str]],
    told: dict[str, Any],
) -> dict[str, Any]:
    from agentkit.gate import non_inferiority_power
    from agentkit.gate.wording import percent

    share = told["discordance"] or 0.10
    power = non_inferiority_power(
        ways[0].trials, discordance=share, margin=told["margin"], criteria=told["criteria"], alpha=told["alpha"]
    )
    whence = "as told" if accuracy is not None else "assumed: --accuracy says otherwise"
    if accuracy is None and estimate.success is not None:
        whence = f"{estimate.success[0]} of {estimate.success[1]} there, taken as {percent(base)}"
    return {
        "accuracy": base,
        "accuracy_source": whence,
        "estimated_by": estimate.source,
        "scenarios": len({scenario for scenario, _ in cells}),
        "variants": len(cells),
        "concurrency": told["concurrency"],
        "by_variant": [{"scenario": cell[0], "variant": cell[1]} | asdict(estimate.by_cell[cell]) for cell in cells],
        "pairs": ways[0].document(),
        "two_samples": ways[1].document(),
        "non_inferiority": {"margin": told["margin"], "discordance": share, "pairs": ways[0].trials, "power": power},
    }


def _print(ways: Sequence[_Way], document: dict[str, Any]) -> None:
    from datetime import timedelta

    from rich import box
    from rich.table import Table

    from agentkit.cli.terminal import line, output
    from agentkit.gate.wording import percent, points

    console = output()
    for way in ways:
        console.print(line(f"{way.plan.sentence}."))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("one side plays", "of each variant", "trials", "model calls", "tokens", "cost", "time"):
        table.add_column(name, justify="left" if name == "one side plays" else "right")
    for way in ways:
        table.add_row(
            "the same seeds (pairs)" if way.plan.paired else "other seeds",
            f"{way.each:,}",
            f"{way.trials:,}",
            f"{way.calls:,}",
            "unknown" if way.tokens is None else f"{way.tokens:,}",
            "unknown" if way.cost is None else f"${way.cost:,.2f}",
            "unknown" if way.seconds is None else str(timedelta(seconds=round(way.seconds))),
        )
    console.print(table)
    many = f"{document['variants']} variants of {document['scenarios']} scenarios"
    console.print(
        line(f"{many}; success of the baseline {percent(document['accuracy'])} ({document['accuracy_source']})")
    )
    console.print(line(f"model calls, tokens, cost and time by {document['estimated_by']}", "dim"))
    claim = document["non_inferiority"]
    console.print(
        line(
            f"a candidate that is no different is shown to be less than {points(claim['margin'])} worse with a chance "
            f"of {percent(round(claim['power'], 2))}, where {percent(claim['discordance'])} of {claim['pairs']:,} "
            "pairs differ"
        )
    )
    console.print(line("a gate in rounds (agentkit gate --sequential) stops earlier where the drop is larger", "dim"))
