"""`agentkit serve keys`: who may ask the router."""

from __future__ import annotations

from typing import Any

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


@click.group("keys", invoke_without_command=True)
@store_option
@json_option
@click.pass_context
def keys(context: click.Context, store: str | None, json_file: str | None) -> int:
    """List the keys: whose they are and what they may do. The keys themselves are kept nowhere."""
    if context.invoked_subcommand is not None:
        refuse_before_command(context)
        return ExitCode.PASS
    check_writable(json_file)
    with open_store(store) as opened:
        found = opened.api_keys()
    rows = [_row(key) for key in found]
    if json_file is not None:
        write_json(json_file, {"keys": rows})
    if json_file == "-":
        return ExitCode.PASS
    if not rows:
        click.echo("no keys yet: agentkit serve keys add NAME")
    for row in rows:
        state = f"revoked {row['revoked_at']}" if row["revoked_at"] else f"since {row['created_at']}"
        limits = ", ".join(
            f"{row[name]} {words}"
            for name, words in (("per_minute", "a minute"), ("concurrent", "at once"))
            if row[name] is not None
        )
        click.echo("  ".join(part for part in (row["name"], "admin" if row["admin"] else "", limits, state) if part))
    return ExitCode.PASS


@keys.command("add")
@click.argument("name")
@click.option("--admin", is_flag=True, help="It may change routes.")
@click.option("--rpm", type=click.IntRange(1), help="Requests a minute, at most.")
@click.option("--concurrent", type=click.IntRange(1), help="Requests at the same time, at most.")
@store_option
def _add(name: str, admin: bool, rpm: int | None, concurrent: int | None, store: str | None) -> int:
    """Make a key for NAME, and print it: once, since only its hash is kept."""
    from agentkit.records import KeyLimits
    from agentkit.serve.keys import new_key

    secret, key = new_key(name, admin=admin, limits=KeyLimits(rpm, concurrent))
    with open_store(store) as opened:
        opened.add_key(key)
    click.echo(secret)
    click.echo(f"the key of {name}; it is not shown again", err=True)
    return ExitCode.PASS


@keys.command("revoke")
@click.argument("name")
@store_option
def _revoke(name: str, store: str | None) -> int:
    """Shut the key of NAME out, within two seconds wherever a router runs."""
    with open_store(store) as opened:
        found = opened.revoke_key(name)
    click.echo(f"{found.name} is revoked since {found.revoked_at}")
    return ExitCode.PASS


def _row(key: Any) -> dict[str, Any]:
    return {
        "name": key.name,
        "admin": key.admin,
        "per_minute": key.limits.per_minute,
        "concurrent": key.limits.concurrent,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }
