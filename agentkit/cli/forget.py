"""`agentkit forget`: removes what is kept of a user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentkit.cli.options import check_writable, json_option, open_store, store_option, write_json
from agentkit.errors import ExitCode

if TYPE_CHECKING:
    from agentkit.collect.forget import Gone

_JOBS = ".agentkit/jobs"


@click.command("forget")
@click.option("--user", required=True, metavar="U", help="The user as the callers name them, or by pseudonym.")
@store_option
@json_option
def command(user: str, store: str | None, json_file: str | None) -> int:
    """Remove all that is kept of a user, and keep nothing that arrives of them later.

    Rows of the store, spill files, exported data sets, the data of jobs and drafts go. What an adapter learned cannot
    be taken out again: adapters that were trained on the user's data are listed, and so are confirmed scenarios that
    were made from it, and data sets that are not where they were exported to.
    """
    check_writable(json_file)
    from agentkit.collect.forget import forget
    from agentkit.config import load_config

    config = load_config()
    with open_store(store) as opened:
        drafted = [Path(config.scenarios), Path(config.loop.drafts)]
        gone = forget(opened, config.collect, user, scenarios=drafted, jobs=Path(_JOBS))
    if json_file is not None:
        write_json(json_file, _document(gone))
    if json_file != "-":
        _print(gone)
    return ExitCode.PASS


def _document(gone: Gone) -> dict[str, object]:
    return {
        "user": gone.user,
        "also": gone.also,
        "exchanges": gone.exchanges,
        "feedback": gone.feedback,
        "pins": gone.pins,
        "lines": gone.lines,
        "adapters": list(gone.adapters),
        "scenarios": [str(it) for it in gone.scenarios],
        "held": [str(it) for it in gone.held],
        "missing": [str(it) for it in gone.missing],
    }


def _print(gone: Gone) -> None:
    also = f", so is whoever calls themselves that ({gone.also})" if gone.also else ""
    click.echo(f"{gone.user} is forgotten{also}, and what arrives later is not kept")
    click.echo(
        f"removed: {gone.exchanges} exchanges, {gone.feedback} judgements, {gone.pins} pins, "
        f"{gone.lines} lines of data sets and drafts"
    )
    for name in gone.adapters:
        click.echo(f"trained on their data: {name} (agentkit adapters retire {name})")
    for path in gone.scenarios:
        click.echo(f"made from a conversation of theirs, please look at it: {path}")
    for path in gone.held:
        click.echo(f"still written to by a running process, which leaves them out when it moves it: {path}")
    for path in gone.missing:
        click.echo(f"a data set was exported there and is not there now, so that nothing was removed from it: {path}")
