"""`agentkit runs`: what the store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentkit.cli.options import json_option, open_store, store_option, write_json

if TYPE_CHECKING:
    from agentkit.records import Run


@click.command("runs")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many, newest first.")
@store_option
@json_option
def command(limit: int, store: str | None, json_file: str | None) -> None:
    """List the newest runs."""
    from agentkit.cli.terminal import inert

    with open_store(store) as opened:
        found = opened.runs(limit)
    if json_file is not None:
        write_json(json_file, [_row(run) for run in found])
    if json_file == "-":
        return
    if not found:
        click.echo("no runs yet (agentkit run)")
    for run in found:
        click.echo(f"{run.id}  {run.status:<11}  {inert(run.agent):<20}  {run.planned:>6} trials  seed {run.seed}")


def _row(run: Run) -> dict[str, object]:
    names = ("id", "status", "agent", "agent_hash", "planned", "seed", "created_at")
    return {name: getattr(run, name) for name in names}
