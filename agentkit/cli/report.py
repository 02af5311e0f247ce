"""`agentkit report`: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentkit.cli.options import open_store, store_option
from agentkit.errors import ExitCode, NotJudged, UsageError
from agentkit.files import write_whole

if TYPE_CHECKING:
    from agentkit.gate import Recorded
    from agentkit.measure import Cell, Summary
    from agentkit.records import Run
    from agentkit.report import Baseline

_OWN = 1_000_000
"""Bytes of a report that are no conversations, about."""


@click.command("report")
@click.argument("run", default="last")
@click.option("--baseline", metavar="FILE|RUN", help="Compare with a baseline file, or with another run.")
@click.option("-o", "--output", metavar="FILE", help="The file to write  [default: reports/RUN.html].")
@click.option(
    "--max-mb",
    type=click.FloatRange(min=1.5),
    default=8.0,
    show_default=True,
    help="About how large the file may grow; failed conversations come first.",
)
@store_option
def command(run: str, baseline: str | None, output: str | None, max_mb: float, store: str | None) -> int:
    """Write RUN ('last', an id or its beginning) as one HTML file that opens offline."""
    from agentkit.report import gather, render, require_drawing

    require_drawing()
    with open_store(store) as opened:
        found = opened.run(run)
        target = _writable(output or f"reports/{found.id}.html")
        compared = baseline_of(found, baseline, store) if baseline is not None else None
        contents = gather(opened, found, baseline=compared, room=int(max_mb * 1e6) - _OWN)
    if not contents.index["trials"]["index"]:
        raise NotJudged(f"run {found.id}: nothing was played yet, so there is nothing to report")
    text = render(contents).encode()
    _write(target, text)
    click.echo(f"{target}: {len(text) / 1e6:.1f} MB, {len(contents.index['trials']['index']):,} conversations")
    if contents.left_out:
        click.echo(f"{contents.left_out:,} of them without what was said: --max-mb gives more room")
    if contents.beside is not None and contents.beside.left_out:
        click.echo(f"{contents.beside.left_out:,} of the baseline's conversations found no room: --max-mb gives more")
    return ExitCode.PASS


def baseline_of(run: Run, name: str, store: str | None) -> Baseline:
    """The other side, and the verdict that `agentkit gate` would give in this project."""
    from agentkit.cli.gating.sides import read_sides
    from agentkit.config import load_config
    from agentkit.gate.project.calibration import project_calibration
    from agentkit.gate.project.judges import advice, judge_sides
    from agentkit.gate.project.settings import gate_settings, quarantines
    from agentkit.report import Baseline, outcomes

    config = load_config()
    base, candidate = read_sides([name, run.id], store, unfinished=True)
    sides = base.recorded, candidate.recorded
    judging = advice(base, candidate, project_calibration(config))
    verdict = judge_sides(*sides, gate_settings(config), judging, quarantines(config, sides))
    cells = _cells(base.recorded)
    return Baseline(
        agent=base.recorded.agent,
        agent_hash=base.recorded.agent_hash,
        run=base.recorded.run,
        created_at=base.recorded.created_at,
        verdict=verdict.document(),
        summary=_summary(base.recorded, cells),
        outcomes=outcomes(cells, [played.repeats.tolist() for played in base.recorded.cells if played.steps]),
        stored=base.run.id if base.run is not None else None,
    )


def _cells(base: Recorded) -> list[Cell]:
    from agentkit.measure import Cell

    return [
        Cell(
            it.scenario,
            it.variant,
            it.steps,
            it.grades,
            it.success,
            it.instances,
            len(it.invalid),
            it.skills or None,
        )
        for it in base.cells
        if it.steps
    ]


def _summary(base: Recorded, cells: list[Cell]) -> Summary:
    from agentkit.measure import summarize

    return summarize(cells, deterministic=base.deterministic, seed=base.seed)


def _writable(name: str) -> Path:
    """The file's place, its folder made, before any work is done for it."""
    target = Path(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"-o: {target.parent} cannot be made: {error.strerror}") from None
    if target.is_dir():
        raise UsageError(f"-o: {target} is a folder; expected a file such as {target / 'run.html'}")
    return target


def _write(target: Path, text: bytes) -> None:
    """Whole or not at all."""
    try:
        write_whole(target, text)
    except OSError as error:
        raise UsageError(f"-o: {target} cannot be written: {error.strerror}") from None
