"""`agentkit compare`: two versions beside each other, or several agents by what they cost."""

from __future__ import annotations

from typing import Any

import click

from agentkit.cli.gating.options import criteria_options
from agentkit.cli.options import check_writable, json_option, refuse_unused, store_option, write, write_json
from agentkit.errors import ExitCode, UsageError


@click.command("compare")
@click.argument("sides", nargs=-1, metavar="BASE CANDIDATE")
@criteria_options
@click.option("--markdown", metavar="FILE", help="Write the comparison as Markdown ('-': standard output).")
@click.option(
    "--frontier",
    is_flag=True,
    help="Two runs or more of different agents: accuracy against cost and time, by step and suite.",
)
@click.option(
    "--target",
    default=0.9,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="With --frontier: the accuracy that the cheapest agent must reach.",
)
@click.option(
    "--write-routes", is_flag=True, help="With --frontier: propose what should answer which step in production."
)
@click.option(
    "--routes-for",
    metavar="AGENT",
    default="*",
    show_default=True,
    help="With --write-routes: the agent that production names in its requests.",
)
@click.option("--apply", is_flag=True, help="With --write-routes: make the proposal a revision of the route table.")
@store_option
@json_option
def command(
    sides: tuple[str, ...],
    markdown: str | None,
    frontier: bool,
    target: float,
    write_routes: bool,
    routes_for: str,
    apply: bool,
    store: str | None,
    json_file: str | None,
    **criteria: Any,
) -> int:
    """Compare two versions: runs ('last', an id or its beginning) or baseline files.

    Tells the same as `agentkit gate`, and decides nothing: exits with 0, or with 3 where nothing can be compared.
    """
    context = click.get_current_context()
    if not write_routes:
        refuse_unused(context, ("routes_for", "apply"), "goes with --write-routes")
    if not frontier:
        refuse_unused(context, ("target", "write_routes"), "goes with --frontier")
    check_writable(json_file)
    if frontier:
        refuse_unused(context, ("markdown",), "does not go with --frontier: --json writes it")
        refuse_unused(context, criteria, "does not go with --frontier, which chooses by --target")
        from agentkit.cli.frontier import show_frontier

        routed = _routed_agent(routes_for) if write_routes else None
        return show_frontier(sides, target, store, json_file, routed, apply=apply)
    if len(sides) != 2:
        raise UsageError(f"found {len(sides)} sides, expected two: agentkit compare BASE CANDIDATE")
    from agentkit.cli.gating.compared import compared
    from agentkit.cli.gating.files import prepare
    from agentkit.cli.gating.markdown import markdown as as_markdown
    from agentkit.cli.gating.terminal import print_verdict
    from agentkit.config import load_config
    from agentkit.gate import Outcome

    prepare("--markdown", markdown)
    verdict = compared(load_config(), sides[0], sides[1], criteria, store, unfinished=True)
    if json_file is not None:
        write_json(json_file, verdict.document())
    write("--markdown", markdown, as_markdown(verdict).encode())
    if "-" not in (json_file, markdown):
        print_verdict(verdict)
    return ExitCode.NOT_JUDGED if verdict.outcome is Outcome.NOT_JUDGED else ExitCode.PASS


def _routed_agent(text: str) -> str:
    """The agent of `--routes-for`, all of whose steps get a proposal.

    Raises:
        UsageError: it is no name, or names a step.
    """
    from agentkit.records import ANY
    from agentkit.serve.routes import parse_route

    agent, step = parse_route(text)
    if step != ANY:
        raise UsageError(f"--routes-for: found {text!r}, expected an AGENT alone: each of its steps gets a proposal")
    return agent
