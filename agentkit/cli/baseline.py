"""`agentkit baseline`: what a run did, as a small file to keep under version control."""

from __future__ import annotations

from pathlib import Path

import click

from agentkit.cli.options import open_store, store_option
from agentkit.errors import ExitCode, NotJudged


@click.command("baseline")
@click.argument("run", default="last")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The file to write  [default: that of [tool.agentkit.gate], else reports/baseline.json].",
)
@store_option
def command(run: str, output: str | None, store: str | None) -> int:
    """Write RUN ('last', an id or its beginning) as the baseline that later versions are compared with.

    It holds outcome and steps of every trial by its instance, costs, times and hashes, one line a trial: no word of
    any conversation.
    """
    from agentkit.cli.gating.files import prepare
    from agentkit.cli.gating.sides import is_file
    from agentkit.config import load_config
    from agentkit.errors import UsageError
    from agentkit.gate import write_baseline
    from agentkit.gate.project.sides import read_run

    told = output or load_config().gate.baseline
    if not is_file(told):
        raise UsageError(f"found {told!r}, expected a file such as reports/baseline.json: name one with -o")
    prepare("-o", told)
    with open_store(store) as opened:
        found = opened.run(run)
        side = read_run(opened, found).recorded
    if not any(cell.valid for cell in side.cells):
        raise NotJudged(f"run {found.id} has no valid trial, so it is no baseline for anything")
    file = Path(told)
    write_baseline(side, file)
    size = file.stat().st_size / 1000
    click.echo(
        f"{file}: {side.trials} trials of {side.agent} ({found.id}), {len(side.scenarios)} scenarios in "
        f"{len(side.cells)} variants, {size:.1f} kB"
    )
    if side.invalid:
        click.echo(f"{side.invalid} of them are invalid and count neither way", err=True)
    return ExitCode.PASS
