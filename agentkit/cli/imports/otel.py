"""`agentkit import otel`: traces."""

from __future__ import annotations

from pathlib import Path

import click

from agentkit.cli.options import check_writable, json_option, store_option
from agentkit.errors import UsageError


@click.command("otel")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME",
    help="Only the traces of this service, or of this run of agentkit's. Repeatable.",
)
@store_option
@json_option
def command(file: Path, services: tuple[str, ...], store: str | None, json_file: str | None) -> int:
    """Import conversations from FILE, traces as OTLP in JSON, or from a folder that `agentkit run` wrote.

    \b
    Our own traces become trials with their grades. Those of OpenInference and Traceloop become trials
    that count neither way until `agentkit grade` holds them against a scenario.
    Exit codes: 0 all of the file is in the store, 1 only a part of it is (what is not is told),
    2 nothing was imported.
    """
    from agentkit.cli.imports.outcome import record_and_tell
    from agentkit.ingest.otel import name_of, read_otel

    check_writable(json_file)
    found = read_otel(file, services=services)
    if json_file is not None and len(found) > 1:
        names = ", ".join(map(name_of, found))
        raise UsageError(f"--json: the file holds traces of several ({names}); name one with --service")
    return max(record_and_tell(imported, store=store, json_file=json_file) for imported in found)
