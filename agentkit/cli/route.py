"""`agentkit route`: the table of what answers which step, and its changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agentkit.cli.options import (
    check_writable,
    json_option,
    open_store,
    refuse_before_command,
    store_option,
    write_json,
)
from agentkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from agentkit.records import Revision
    from agentkit.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])
ROUTE = "AGENT/STEP"
BY = "cli"


def why_option(default: str | None = None) -> Callable[[Command], Command]:
    """`--why TEXT`, which is recorded; demanded where there is no default."""
    told = "Reason, recorded with the revision."
    if default is None:  # an explicit None would count as given
        return click.option("--why", metavar="TEXT", required=True, help=told)
    return click.option("--why", metavar="TEXT", default=default, help=told)


force_option = click.option(
    "--force", is_flag=True, help="Even where what was measured does not bear it out; recorded."
)


@click.group("route", invoke_without_command=True)
@store_option
@json_option
@click.pass_context
def command(ctx: click.Context, store: str | None, json_file: str | None) -> int:
    """Show what answers which step: base model, adapter or upstream, canaries with their figures so far.

    AGENT/STEP is what callers name in their requests; `*` stands for any, and AGENT alone for all of its steps. Every
    change is a new revision of the whole table. Conversations that run keep the revision that they began with.
    """
    if ctx.invoked_subcommand is not None:
        refuse_before_command(ctx)
        return ExitCode.PASS
    check_writable(json_file)
    from agentkit.cli.route_table import print_table, table_document
    from agentkit.config import load_config
    from agentkit.serve.canary import look
    from agentkit.serve.routes import newest

    settings = load_config().serve.canary
    with open_store(store) as opened:
        current = newest(opened)
        judged = {
            (it.agent, it.step): look(opened, current, it.agent, it.step, settings)
            for it in current.routes
            if it.canary is not None
        }
    if json_file is not None:
        write_json(json_file, table_document(current, judged))
    if json_file != "-":
        print_table(current, judged)
    return ExitCode.PASS


@command.command("canary")
@click.argument("route", metavar=ROUTE)
@click.argument("target", required=False)
@click.option("--share", type=float, default=0.1, show_default=True, help="Share of conversations, 0 to 1.")
@click.option("--off", is_flag=True, help="End the canary that runs.")
@why_option("to be tried on a share of the conversations")
@force_option
@store_option
@json_option
def canary(
    route: str,
    target: str | None,
    share: float,
    off: bool,
    why: str,
    force: bool,
    store: str | None,
    json_file: str | None,
) -> int:
    """Let TARGET (an adapter, an upstream or `base`) answer a share of the conversations; or change that share."""
    from agentkit.serve.routes import end_canary, set_canary

    if off == (target is not None):
        raise UsageError("expected a TARGET, or --off to end the canary that runs")

    def change(opened: Store, agent: str, step: str) -> Revision:
        if target is None:
            return end_canary(opened, agent, step, by=BY, why=why)
        return set_canary(opened, agent, step, _target(opened, target), share, by=BY, why=why, force=force)

    return _change(route, change, store, json_file)


@command.command("set")
@click.argument("route", metavar=ROUTE)
@click.argument("target")
@why_option("set by hand")
@force_option
@store_option
@json_option
def set_(route: str, target: str, why: str, force: bool, store: str | None, json_file: str | None) -> int:
    """Let TARGET answer all new conversations: `base`, an upstream, or an adapter that is live already."""
    from agentkit.serve.routes import set_live

    def change(opened: Store, agent: str, step: str) -> Revision:
        return set_live(opened, agent, step, _target(opened, target), by=BY, why=why, force=force)

    return _change(route, change, store, json_file)


@command.command("promote")
@click.argument("route", metavar=ROUTE)
@why_option("certificate and canary bear it out")
@force_option
@store_option
@json_option
@click.pass_context
def promote(ctx: click.Context, route: str, why: str, force: bool, store: str | None, json_file: str | None) -> int:
    """Make the canary what answers all new conversations.

    An adapter needs a certificate that says *promote*, and every canary must be clean; else it exits with 1. --force
    does it all the same, with --why, and what was missing is recorded.
    """
    from agentkit.config import load_config
    from agentkit.serve.routes import promote as promoted

    if force and ctx.get_parameter_source("why") is click.core.ParameterSource.DEFAULT:
        raise UsageError("--force: say with --why what bears it out instead")
    settings = load_config().serve.canary

    def change(opened: Store, agent: str, step: str) -> Revision:
        return promoted(opened, agent, step, by=BY, why=why, force=force, settings=settings)

    return _change(route, change, store, json_file)


@command.command("rollback")
@click.option("--repin", is_flag=True, help="For safety: take running conversations away from what is taken back, too.")
@why_option()
@store_option
@json_option
def rollback(repin: bool, why: str, store: str | None, json_file: str | None) -> int:
    """Go back to the previous table; once more leads one further back. It reaches new conversations within a second."""
    from agentkit.serve.routes import rollback as rolled_back

    return _made(lambda opened: rolled_back(opened, by=BY, why=why, repin=repin), store, json_file)


@command.command("history")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Newest revisions.")
@store_option
@json_option
def history(limit: int, store: str | None, json_file: str | None) -> int:
    """Show the revisions, newest first: who changed what, and why."""
    check_writable(json_file)
    from agentkit.cli.route_table import print_history, revision_document

    with open_store(store) as opened:
        found = opened.revisions(limit + 1)
    if json_file is not None:
        write_json(json_file, {"revisions": [revision_document(it) for it in found[:limit]]})
    if json_file != "-":
        print_history(found, limit)
    return ExitCode.PASS


def _target(store: Store, text: str) -> Any:
    from agentkit.config import load_config
    from agentkit.serve.routes import parse_target

    return parse_target(store, text, load_config().upstreams)


def _change(
    route: str,
    change: Callable[[Store, str, str], Revision],
    store: str | None,
    json_file: str | None,
) -> int:
    from agentkit.serve.routes import parse_route

    agent, step = parse_route(route)
    return _made(lambda opened: change(opened, agent, step), store, json_file)


def _made(make: Callable[[Store], Revision], store: str | None, json_file: str | None) -> int:
    """Make a revision, and say what it changed."""
    check_writable(json_file)
    from agentkit.cli.route_table import print_change, revision_document
    from agentkit.serve.routes import newest

    with open_store(store) as opened:
        before = newest(opened)
        after = make(opened)
    if json_file is not None:
        write_json(json_file, revision_document(after) | {"changed": after.number != before.number})
    if json_file != "-":
        print_change(before, after)
    return ExitCode.PASS
