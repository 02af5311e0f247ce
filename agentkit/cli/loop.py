"""`agentkit loop`: production's conversations become the next version, turn by turn."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from agentkit.cli.options import (
    check_writable,
    json_option,
    open_store,
    refuse_before_command,
    store_option,
    write_json,
)
from agentkit.errors import ExitCode

if TYPE_CHECKING:
    from agentkit.loop.production import Production
    from agentkit.loop.show import Shown
    from agentkit.records import Decision

_PAUSE = 60.0
"""Seconds between two looks at a turn that waits."""


@click.group("loop", invoke_without_command=True)
@click.option("--once", is_flag=True, help="One turn, as far as it comes now; else again and again until Ctrl-C.")
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), metavar="MINUTES", help="Begin no stage later.")
@store_option
@json_option
@click.pass_context
def command(context: click.Context, once: bool, budget: float | None, store: str | None, json_file: str | None) -> int:
    """Look at production, and go on where the last turn stood: collect, draft, play, tune, approve, canary, promote.

    Each stage decides once and says why (`agentkit loop status`); a turn that was killed goes on with the stage that
    it was at. Nothing is promoted without a certificate that says *promote* and a clean canary. The router
    (`agentkit serve`) must be running for a canary to be judged.

    Exits with 0 where a turn ended, and with 4 where it waits for traffic, for a person or for more time. With --json,
    what the last turn decided is written then.
    """
    if context.invoked_subcommand is not None:
        refuse_before_command(context)
        return ExitCode.PASS
    from agentkit.config import load_config
    from agentkit.loop.alone import alone
    from agentkit.loop.stages import STAGES
    from agentkit.loop.turn import LAST, OverBudget, Turn

    check_writable(json_file)
    deadline = None if budget is None else time.monotonic() + 60 * budget
    with open_store(store) as opened, alone():
        turn: Turn | None = None
        try:
            while True:
                turn = Turn.open(opened, load_config(), tell=_tell, deadline=deadline)
                done = turn.go(STAGES)
                if once:
                    return ExitCode.PASS if done.outcome in LAST else ExitCode.INCONCLUSIVE
                time.sleep(_PAUSE)
        except OverBudget as reason:
            click.echo(str(reason), err=True)
            return ExitCode.INCONCLUSIVE
        finally:
            if turn is not None and json_file is not None:
                write_json(json_file, [_row(it) for it in opened.decisions(turn.id)])


@command.command("status")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 10_000), help="Newest decisions.")
@store_option
@json_option
def status(limit: int, store: str | None, json_file: str | None) -> int:
    """What the turns decided, and why."""
    check_writable(json_file)
    with open_store(store) as opened:
        found = opened.decisions(limit=limit)
    if json_file is not None:
        write_json(json_file, [_row(it) for it in found])
    if json_file != "-":
        _show(found)
    return ExitCode.PASS


@command.command("approve")
@click.option("--why", default="", help="Kept with the decision.")
@click.option("--decline", is_flag=True, help="The adapter may not meet users; the turn ends.")
@store_option
def approve(why: str, decline: bool, store: str | None) -> int:
    """Let the certified adapter that waits for a person become a canary."""
    from agentkit.config import load_config
    from agentkit.loop.choose import chosen_agent
    from agentkit.loop.turn import approve as decided

    with open_store(store) as opened:
        it = decided(opened, chosen_agent(load_config()), by=_person(), agreed=not decline, why=why)
    click.echo(f"{it.evidence['adapter']} {it.outcome}; go on with: agentkit loop --once")
    return ExitCode.PASS


@command.command("abandon")
@click.option("--why", required=True, help="Kept with the decision.")
@store_option
def abandon(why: str, store: str | None) -> int:
    """End the turn that is under way, whatever it waits for; a canary of it is taken back."""
    from agentkit.config import load_config
    from agentkit.loop.alone import alone
    from agentkit.loop.choose import chosen_agent
    from agentkit.loop.stages import abandon as ended

    with open_store(store) as opened, alone():
        it = ended(opened, chosen_agent(load_config()), by=_person(), why=why)
    click.echo(f"{it.turn} ended at the stage {it.stage}; the next one begins with: agentkit loop --once")
    return ExitCode.PASS


@command.command("show")
@click.option("--trials", default=32, show_default=True, type=click.IntRange(1), help="Conversations of each variant.")
@click.option("--share", default=0.5, show_default=True, type=click.FloatRange(0, 1, True, True), help="Of a canary.")
@click.option("--seed", default=0, show_default=True, help="Of the simulated users.")
@store_option
@json_option
def show(trials: int, share: float, seed: int, store: str | None, json_file: str | None) -> int:
    """Show a whole turn here: simulated users talk through a real router, the loop repairs what fails, and a worse
    adapter that is planted then is thrown out by its canary.
    """
    from agentkit.config import load_config
    from agentkit.loop.alone import alone
    from agentkit.loop.show import Show

    check_writable(json_file)
    config = load_config()
    with open_store(store) as opened, alone():
        found = Show(opened, config, _tell, store or config.store, trials, share, seed).go()
    if json_file is not None:
        write_json(json_file, found.document())
    if json_file != "-":
        _showing(found)
    good = found.decision.outcome == "promoted" and found.thrown_out is not None
    return ExitCode.PASS if good else ExitCode.FAIL


def _person() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "somebody"


def _tell(line: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {line}", err=True)


def _row(it: Decision) -> dict[str, Any]:
    return {name: getattr(it, name) for name in ("turn", "agent", "stage", "at", "outcome", "why", "evidence")}


def _show(found: list[Decision]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not found:
        click.echo("no turn was begun yet: agentkit loop --once")
        return
    console = Console()
    for turn in dict.fromkeys(it.turn for it in found):
        decisions = [it for it in found if it.turn == turn]
        table = Table(box=None, pad_edge=False, show_header=False)
        for column in ("at", "stage", "outcome"):
            table.add_column(column, no_wrap=True)
        table.add_column("why", overflow="fold")
        for it in decisions:
            table.add_row(*(Text(text) for text in (it.at[:19].replace("T", " "), it.stage, it.outcome, it.why)))
        console.print(Text(f"{turn} of {decisions[0].agent}", "bold"), table, sep="\n")


def _showing(found: Shown) -> None:
    """Production by what users said of each version, and what became of the planted adapter."""
    click.echo(f"\n{found.decision.outcome}: {found.decision.why}")
    columns = {"before": found.before, "after": found.after, "planted": found.worse}
    click.echo(f"\n{'what users said, corrected for wrong thumbs':<46} " + " ".join(f"{it:<20}" for it in columns))
    rows = [(step.step, [_rate(it and it.step(step.step)) for it in columns.values()]) for step in found.before.steps]
    for name, cells in [*rows, ("compounded", list(map(_compounded, columns.values())))]:
        click.echo(f"  {name:<44} " + " ".join(f"{it:<20}" for it in cells).rstrip())
    if found.planted is not None:
        click.echo(f"\nplanted {found.planted}")
        if found.thrown_out is not None:
            click.echo(
                f"thrown out by {found.thrown_out.by} in revision {found.thrown_out.number}, after "
                f"{found.conversations_until} conversations: {found.thrown_out.why}"
            )
        else:
            click.echo(f"NOT thrown out after {found.conversations_until} conversations")
    spent = ", ".join(f"{part} {seconds / 60:.1f}" for part, seconds in found.seconds.items())
    click.echo(f"\nminutes: {spent}; {sum(found.seconds.values()) / 60:.1f} in all")


def _rate(it: Any) -> str:
    return "not judged" if it is None else f"{it.estimate:.0%} ({it.low:.0%}–{it.high:.0%})"


def _compounded(it: Production | None) -> str:
    if it is None or it.compounded is None:
        return "not judged"
    estimate, low, high = it.compounded
    return f"{estimate:.0%} ({low:.0%}–{high:.0%})"
