"""`agentkit collect`: what was captured of production, and what can be made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentkit.cli.options import check_writable, json_option, open_store, store_option, write_json
from agentkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from agentkit.collect.draft import Draft
    from agentkit.config import Config

DRAFTS = "__drafts__"
"""Folder below the project's scenarios. Runs pass over folders that begin so."""


@click.group("collect", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> int:
    """What was captured of production: how much there is, drafts of scenarios, data sets."""
    if context.invoked_subcommand is None:
        result: int = context.invoke(status)
        return result
    return ExitCode.PASS


@command.command("status")
@store_option
@json_option
def status(store: str | None, json_file: str | None) -> int:
    """How much is captured, and how much waits in spill files."""
    check_writable(json_file)
    from agentkit.collect.capture import SPILL
    from agentkit.collect.spill import is_held, segments

    config = _config()
    with open_store(store) as opened:
        found = opened.traffic()
    waiting = segments(Path(config.collect.folder) / SPILL)
    sizes = [path.stat().st_size for path in waiting if path.exists()]
    document = {
        "exchanges": found.exchanges,
        "conversations": found.conversations,
        "users": found.users,
        "oldest": found.oldest,
        "newest": found.newest,
        "forgotten": found.forgotten,
        "spill_files": len(waiting),
        "spill_bytes": sum(sizes),
        "spill_files_held": sum(map(is_held, waiting)),
        "retention_days": config.collect.retention_days,
        "sample": config.collect.sample,
    }
    if json_file is not None:
        write_json(json_file, document)
    if json_file != "-":
        span = f", from {found.oldest} to {found.newest}" if found.exchanges else ""
        click.echo(f"{found.exchanges} exchanges of {found.conversations} conversations, {found.users} users{span}")
        click.echo(f"{len(waiting)} spill files wait for the store, {sum(sizes) / 1e6:.1f} MB")
        kept = config.collect.retention_days
        click.echo(f"kept for {kept:g} days" if kept is not None else "kept without end")
    return ExitCode.PASS


@command.command("draft")
@click.option("--since", metavar="TIME", help="Conversations from then on (RFC 3339), or of so many days: `7d`.")
@click.option("--agent", metavar="NAME", help="Conversations with this agent.")
@click.option("--bad-first", is_flag=True, help="Those that somebody judged bad before all others.")
@click.option("--bad-only", is_flag=True, help="Only those that somebody judged bad.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Drafts at most.")
@click.option("--suite", metavar="FOLDER", help="Suite whose world they are for [default: recorded answers].")
@click.option("-o", "out", metavar="FOLDER", help=f"Where they go [default: {DRAFTS} below the project's scenarios].")
@store_option
@json_option
def draft(
    since: str | None,
    agent: str | None,
    bad_first: bool,
    bad_only: bool,
    limit: int,
    suite: str | None,
    out: str | None,
    store: str | None,
    json_file: str | None,
) -> int:
    """Write captured conversations as drafts of scenarios, for a person to confirm.

    Steps are proposed from what was said and done, up to the first move that was judged bad; a correction stands in
    its place. A draft plays like any scenario (`agentkit run FOLDER`), and counts in no suite until it is moved there.
    """
    check_writable(json_file)
    from agentkit.collect import draft as drafting
    from agentkit.collect.export import remember

    config = _config()
    folder = Path(out) if out is not None else Path(config.scenarios) / DRAFTS
    if out is not None:
        remember(config.collect, folder)
    with open_store(store) as opened:
        found = opened.conversations(since=_time(since), agent=agent)
        if bad_only or bad_first:
            bad = drafting.judged_bad(opened, found)
            found = bad if bad_only else list(dict.fromkeys([*bad, *found]))
        drafts = drafting.write_drafts(opened, found[:limit], folder, None if suite is None else Path(suite))
    if json_file is not None:
        write_json(json_file, [_row(it) for it in drafts])
    if json_file != "-":
        _print(drafts, folder)
    return ExitCode.PASS if any(it.file for it in drafts) else ExitCode.NOT_JUDGED


@command.command("prune")
@click.option("--before", metavar="TIME", help="What came in before then (RFC 3339) [default: the retention's end].")
@store_option
def prune(before: str | None, store: str | None) -> int:
    """Delete exchanges that are older than they may become."""
    days = _config().collect.retention_days
    if before is None and days is None:
        raise UsageError("--before: is missing, and [tool.agentkit.collect] retention_days sets no end")
    at = _time(before) if before is not None else _ago(days or 0.0)
    with open_store(store) as opened:
        click.echo(f"{opened.prune_exchanges(at)} exchanges deleted")
    return ExitCode.PASS


@command.command("export")
@click.option("--since", metavar="TIME", help="Exchanges from then on (RFC 3339), or of so many days: `7d`.")
@click.option("--agent", metavar="NAME", help="Exchanges with this agent.")
@click.option("--step", metavar="NAME", help="Exchanges of this step.")
@click.option("-o", "out", metavar="FOLDER", required=True, help="A folder of its own.")
@store_option
def export(since: str | None, agent: str | None, step: str | None, out: str, store: str | None) -> int:
    """Write exchanges as JSONL, with what was said of them; `agentkit forget` reaches them there."""
    from agentkit.collect.export import FILE
    from agentkit.collect.export import export as write

    config = _config()
    with open_store(store) as opened:
        exchanges = opened.exchanges(since=_time(since), agent=agent, step=step)
        if not exchanges:
            click.echo("nothing was captured that fits", err=True)
            return ExitCode.NOT_JUDGED
        count = write(opened, config.collect, exchanges, Path(out))
    click.echo(f"{count} exchanges in {Path(out) / FILE}")
    return ExitCode.PASS


def _config() -> Config:
    from agentkit.config import load_config

    return load_config()


def _time(since: str | None) -> str | None:
    """`7d` as a time; others as they are, to be read by the store."""
    if since is None or not since.endswith("d") or not since[:-1].replace(".", "", 1).isdigit():
        return since
    return _ago(float(since[:-1]))


def _ago(days: float) -> str:
    try:
        return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    except OverflowError:
        raise UsageError(f"--since: {days:g} days are before all time") from None


def _row(it: Draft) -> dict[str, Any]:
    return {
        "conversation": it.conversation,
        "file": None if it.file is None else str(it.file),
        "regression": it.is_bad,
        "why": it.why,
    }


def _print(drafts: list[Draft], folder: Path) -> None:
    written = [it for it in drafts if it.file is not None]
    for it in written:
        kind = "regression" if it.is_bad else "draft"
        click.echo(f"{kind:<11}{it.file}" + (f"\n{'':11}{it.why}" if it.why else ""))
    for it in drafts:
        if it.file is None:
            click.echo(f"{'no draft':<11}{it.conversation!r}: {it.why}")
    if not drafts:
        click.echo("no conversation was captured that fits")
    if written:
        click.echo(f"{len(written)} drafts: try them with `agentkit run {folder} --agent scripted:1.0`, confirm each")
