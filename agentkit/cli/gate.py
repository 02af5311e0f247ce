"""`agentkit gate`: ship or not, by exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from agentkit.cli.gating.options import criteria_options
from agentkit.cli.options import (
    check_writable,
    json_option,
    open_store,
    refuse_unused,
    store_option,
    write,
    write_json,
)
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from agentkit.config import Config
    from agentkit.gate import GateVerdict

_IN_ROUNDS = (
    click.option(
        "--sequential", is_flag=True, help="Play CANDIDATE, an agent, in rounds; stop as soon as it is decided."
    ),
    click.option("--adaptive", is_flag=True, help="With --sequential: spend trials where the verdict is open."),
    click.option("--early-pass", is_flag=True, help="With --sequential: stop also when the margin is ruled out."),
    click.option("--batch", type=click.IntRange(min=1), metavar="N", help="With --sequential: trials a round."),
    click.option("--max-calls", type=click.IntRange(min=0), help="With --sequential: hard limit on model calls."),
    click.option(
        "--max-cost", type=click.FloatRange(min=0), metavar="DOLLARS", help="With --sequential: hard limit on cost."
    ),
    click.option("--scenarios", "paths", multiple=True, metavar="PATH", help="With --sequential: where they are."),
    click.option("--user", metavar="NAME", help="With --sequential: who plays the user, as in agentkit run."),
    click.option(
        "--concurrency", default=8, show_default=True, type=click.IntRange(min=1), help="With --sequential: at once."
    ),
    click.option("--resume", metavar="RUN", help="With --sequential: take up the gate whose run that is."),
)
_ROUNDS_ONLY = ("adaptive", "early_pass", "batch", "max_calls", "max_cost", "paths", "user", "concurrency", "resume")
_NOT_WITH_RESUME = ("candidate", "paths", "user", "concurrency")


def _in_rounds(command: Any) -> Any:
    for option in reversed(_IN_ROUNDS):
        command = option(command)
    return command


@click.command("gate")
@click.argument("candidate", required=False)
@click.option(
    "--baseline",
    metavar="FILE|RUN",
    help="Compare with it  [default: that of [tool.agentkit.gate], else reports/baseline.json].",
)
@criteria_options
@_in_rounds
@click.option("--markdown", metavar="FILE", help="Write a summary for a job or a pull request ('-': standard output).")
@click.option("--junit", metavar="FILE", help="Write JUnit XML, one test case a criterion.")
@store_option
@json_option
def command(
    candidate: str | None,
    baseline: str | None,
    markdown: str | None,
    junit: str | None,
    store: str | None,
    json_file: str | None,
    sequential: bool,
    **told: Any,
) -> int:
    """Compare CANDIDATE (a run or a baseline file) with a baseline, and decide.

    Exits with 0 pass, 1 fail, 4 inconclusive, 3 could not judge.
    """
    from agentkit.cli.gating.files import prepare
    from agentkit.config import load_config

    check_writable(json_file)
    prepare("--markdown", markdown)
    prepare("--junit", junit)
    config = load_config()
    base = baseline or config.gate.baseline
    rounds = {name: told.pop(name) for name in _ROUNDS_ONLY}
    _refuse_mixed(click.get_current_context(), sequential, rounds["resume"], candidate)
    if sequential:
        verdict, heading, document = _sequential(config, base, candidate, told, rounds, store)
    else:
        from agentkit.cli.gating.compared import compared

        assert candidate is not None, "refused above"
        verdict, heading, document = compared(config, base, candidate, told, store), [], {}
    _show(verdict, heading, document, markdown, junit, json_file)
    return int(verdict.outcome.exit_code)


def _refuse_mixed(context: click.Context, sequential: bool, resume: str | None, candidate: str | None) -> None:
    """Options that go with --sequential, or without it."""
    if not sequential:
        refuse_unused(context, _ROUNDS_ONLY, "goes with --sequential")
    if resume is not None:
        fixed = [it for it in _NOT_WITH_RESUME if context.get_parameter_source(it) is ParameterSource.COMMANDLINE]
        if fixed:
            names = ", ".join("CANDIDATE" if it == "candidate" else it for it in fixed)
            raise UsageError(f"--resume takes {names} from the run itself; leave that out")
    elif candidate is None:
        what = "an agent" if sequential else "a run ('last', an id or its beginning) or a baseline file"
        raise UsageError(f"CANDIDATE is missing: expected {what}")


def _sequential(
    config: Config, base: str, agent: str | None, told: dict[str, Any], rounds: dict[str, Any], store: str | None
) -> tuple[GateVerdict, list[str], dict[str, Any]]:
    """Play in rounds. The verdict, what is to be said above it, and what a document holds beside it."""
    from functools import partial
    from pathlib import Path

    from agentkit.cli.gating.paired import begin, go_on
    from agentkit.cli.gating.rounds import Gate
    from agentkit.cli.gating.rounds import told as in_words
    from agentkit.cli.gating.sides import read_sides
    from agentkit.gate import Rule
    from agentkit.gate.project.calibration import project_calibration
    from agentkit.gate.project.judges import advice
    from agentkit.gate.project.settings import gate_settings, quarantines
    from agentkit.llm import Budget
    from agentkit.scenario import load

    side = read_sides([base], store)[0]
    gate = Gate(
        side.recorded,
        gate_settings(config, told),
        Rule(early_pass=rounds["early_pass"], adaptive=rounds["adaptive"]),
        rounds["batch"],
        partial(advice, side, calibrated=project_calibration(config, told["calibration"])),
        quarantines(config, [side.recorded]),
    )
    gate.check()
    limits = rounds["max_calls"], rounds["max_cost"]
    again = []
    with open_store(store) as opened:
        if rounds["resume"] is not None:
            run = opened.run(rounds["resume"])
            if run.status == "stopped":
                again.append(
                    "a limit had stopped it, and it was judged then: this further look is not in the error rates"
                )
            run, verdict = go_on(gate, opened, run, config, limits)
        else:
            assert agent is not None, "refused above"
            paths = rounds["paths"] or (config.scenarios,)
            scenarios = load([Path(path) for path in paths])
            options = {"user": rounds["user"], "concurrency": rounds["concurrency"]}
            run, verdict = begin(gate, opened, scenarios, paths, agent, config, Budget(*limits), **options)
        played, planned = len(opened.keys(run.id)), run.planned
    document = {"run_id": run.id, "played": played, "planned": planned, "rounds": gate.rounds, "spent": dict(run.spent)}
    assert gate.last is not None
    document |= {"early": gate.last.early, "evidence": [it.document() for it in gate.last.evidence]}
    return verdict, [*in_words(gate, run, played, planned), *again], {"sequential": document}


def _show(
    verdict: GateVerdict,
    heading: list[str],
    document: dict[str, Any],
    markdown: str | None,
    junit: str | None,
    json_file: str | None,
) -> None:
    from agentkit.cli.gating.junit import junit as as_junit
    from agentkit.cli.gating.markdown import markdown as as_markdown
    from agentkit.cli.gating.terminal import print_verdict

    if json_file is not None:
        write_json(json_file, verdict.document() | document)
    write("--junit", junit, as_junit(verdict))
    write("--markdown", markdown, as_markdown(verdict, heading=heading).encode())
    if "-" not in (json_file, markdown, junit):
        print_verdict(verdict, heading=heading)
