"""`agentkit audit`: are the scenarios themselves sound?"""

from __future__ import annotations

import click

from agentkit.cli.chosen import chosen_variants
from agentkit.cli.options import check_writable, json_option, write_json
from agentkit.errors import ExitCode, NotJudged


@click.command("audit")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--instances", default=2, show_default=True, type=click.IntRange(min=1), help="Instances of every variant."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws the instances.")
@click.option(
    "--detours",
    default="own",
    show_default=True,
    metavar="WHICH",
    help="As for `agentkit run`: own, none, ids, or detours of the catalogue.",
)
@json_option
def command(paths: tuple[str, ...], instances: int, seed: int, detours: str, json_file: str | None) -> int:
    """Check scenarios (files or folders; default: the project's) with players that must fail and one that must pass.

    Exits with 1 where there is a finding, and with 3 where there is none and nothing was audited of what a word of
    --detours names.
    """
    import asyncio
    from pathlib import Path

    from agentkit.audit import audit
    from agentkit.cli.progress import counting
    from agentkit.cli.terminal import line, output
    from agentkit.config import load_config
    from agentkit.scenario import load

    check_writable(json_file)
    scenarios = load([Path(path) for path in paths or (load_config().scenarios,)])
    by_id = {loaded.id: loaded for loaded in scenarios}
    chosen = chosen_variants(scenarios, detours, left_out="not audited")
    cells = [(by_id[scenario], variant) for scenario, variant in chosen.cells]
    with counting("auditing", "variants") as listener:
        found = asyncio.run(
            audit(cells, instances=instances, seed=seed, limits=load_config().limits, listener=listener)
        )
    if json_file is not None:
        document = {
            "variants": found.variants,
            "unplayed": [
                {"scenario": scenario, "variant": variant, "why": why} for scenario, variant, why in found.unplayed
            ],
            "trials": found.trials,
            "findings": [finding.document() for finding in found.findings],
            "unjudged": list(found.unjudged),
            "without_place": [
                {"scenario": scenario, "detour": detour, "why": why} for scenario, detour, why in chosen.without_place
            ],
        }
        write_json(json_file, document)
    if json_file != "-":
        console = output()
        for finding in found.findings:
            console.print(line(f"{finding.where}: {finding.kind}: {finding.message}", "red"))
        if found.unplayed:
            words = [f"{scenario}/{variant} ({why})" for scenario, variant, why in found.unplayed]
            told = "; ".join(words[:5]) + ("; …" if len(words) > 5 else "")
            console.print(
                line(f"{len(words)} variants without a place in any instance are not audited: {told}", "yellow")
            )
        if found.unjudged:
            told = ", ".join(found.unjudged[:5]) + (" …" if len(found.unjudged) > 5 else "")
            console.print(line(f"{len(found.unjudged)} steps that need a judge are not audited: {told}", "yellow"))
        count = f"{len(found.findings)} findings" if found.findings else "no finding"
        console.print(
            line(f"{count} in {found.variants} variants of {len(scenarios)} scenarios ({found.trials} plays)")
        )
    if found.findings:
        return ExitCode.FAIL
    if chosen.nowhere:
        raise NotJudged(f"nothing was audited of {', '.join(chosen.nowhere)}: no scenario gives it a place")
    return ExitCode.PASS
