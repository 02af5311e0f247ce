"""`agentkit label`: experts judge captured answers in a browser; what they agree on, and what is learned from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from agentkit.cli.options import (
    check_writable,
    json_option,
    open_store,
    refuse_before_command,
    store_option,
    write_json,
)
from agentkit.errors import ExitCode, NotJudged, UsageError

if TYPE_CHECKING:
    from agentkit.collect.labels.agreement import Agreement
    from agentkit.collect.labels.kappa import Kappa
    from agentkit.collect.labels.rows import Judgement
    from agentkit.config import LabelSettings
    from agentkit.store import Store
    from agentkit.web.label import Labeller


@click.group("label", invoke_without_command=True)
@click.option("--expert", metavar="NAME", help="Who judges  [default: the page asks].")
@click.option(
    "--port", default=8322, show_default=True, type=click.IntRange(0, 65535), help="Of 127.0.0.1; 0: any free one."
)
@click.option("--no-open", is_flag=True, help="Only print the address; open no browser.")
@store_option
@click.pass_context
def command(context: click.Context, expert: str | None, port: int, no_open: bool, store: str | None) -> int:
    """Judge captured answers in a browser, those that teach most first, until Ctrl-C. Only this machine can look.

    Right, wrong, or a better answer; r, w, b, u without a mouse. `label status` says how far experts agree with each
    other and with the LLM judge, `label export` writes what a training can learn from, `label rewards` holds
    rewards against it.
    """
    if context.invoked_subcommand is not None:
        refuse_before_command(context)
        return ExitCode.PASS
    from agentkit.cli.view import has_screen
    from agentkit.config import load_config

    settings = load_config().label
    with open_store(store) as opened, _listening(opened, settings, expert, port) as labeller:
        try:
            click.echo(f"{labeller.url}  (Ctrl-C ends it)")
            if not no_open and has_screen():
                import webbrowser

                webbrowser.open(labeller.url)
            labeller.serve_forever()
        except KeyboardInterrupt:
            click.echo("")
    return ExitCode.PASS


@command.command("status")
@store_option
@json_option
def status(store: str | None, json_file: str | None) -> int:
    """How far experts agree with each other and with the LLM judge (Cohen's kappa), and whether the judge drifts."""
    from agentkit.config import load_config

    check_writable(json_file)
    settings = load_config().label
    with open_store(store) as opened:
        found = _agreement(opened, settings)
    if json_file is not None:
        write_json(json_file, found.document())
    if json_file != "-":
        _tell(found, settings)
    return ExitCode.PASS


@command.command("judge")
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    help="Of the conversations  [default: that of [tool.agentkit.label], else 0.1].",
)
@click.option("--since", metavar="TIME", help="From this time on (RFC 3339)  [default: the last days of the settings].")
@click.option("--most", type=click.IntRange(1), help="Answers that are read at most, newest first.")
@click.option("--max-cost", type=click.FloatRange(0), metavar="USD", help="Stop at this cost; what was said is kept.")
@store_option
def judge(
    share: float | None,
    since: str | None,
    most: int | None,
    max_cost: float | None,
    store: str | None,
) -> int:
    """Let the judge of [tool.agentkit.judge] read a share of the captured conversations; each answer once.

    Exits with 3 where it could be asked about none.
    """
    import asyncio

    from agentkit.collect.feedback.judges import Judged, judge_sample
    from agentkit.config import load_config
    from agentkit.grade import Judge
    from agentkit.llm import Budget, Prices
    from agentkit.llm.openai import OpenAIChat

    config = load_config()
    if config.judge is None:
        raise UsageError("label judge: no judge is configured ([tool.agentkit.judge])")
    settings, endpoint = config.label, config.judge
    begin = since or _since(settings)

    async def sit(opened: Store) -> Judged:
        model = OpenAIChat.at(endpoint, budget=Budget(None, max_cost), prices=Prices.load(config.prices))
        try:
            wanted = settings.judge_share if share is None else share
            judge = Judge(model, opened, endpoint)
            return await judge_sample(opened, judge, wanted, begin, settings=settings, most=most)
        finally:
            await model.close()

    with open_store(store) as opened:
        found = asyncio.run(sit(opened))
    if found.asked and found.unreached == found.asked:
        raise NotJudged(f"the judge {endpoint.model} could not be asked about any of {found.asked} answers")
    click.echo(
        f"{found.asked} answers read of {found.conversations} conversations: {found.right} right, {found.wrong} wrong, "
        f"{found.undecided} undecided, {found.unreached} could not be asked about"
    )
    return ExitCode.PASS


@command.command("export")
@click.option("--kto", "form", flag_value="kto", help="Answers that were found right or wrong.")
@click.option("--dpo", "form", flag_value="dpo", help="Better answers beside those that were given.")
@click.option("-o", "--output", required=True, metavar="FILE", help="JSON lines in TRL's format.")
@click.option("--experts", is_flag=True, help="Without what users said.")
@click.option("--agent", metavar="NAME", help="Of this agent alone.")
@click.option("--step", metavar="STEP", help="Of this step alone.")
@click.option("--since", metavar="TIME", help="From this time on (RFC 3339)  [default: all that is kept].")
@store_option
def export(
    form: str | None,
    output: str,
    experts: bool,
    agent: str | None,
    step: str | None,
    since: str | None,
    store: str | None,
) -> int:
    """Write what people's judgements teach, as `agentkit tune` and TRL read it; `agentkit forget` reaches it there, by
    a `provenance.json` beside the file. Exits with 3 where there is nothing."""
    from pathlib import Path

    from agentkit.config import load_config
    from agentkit.tune.feedback_rows import export_judgements

    if form not in ("kto", "dpo"):
        raise UsageError("label export: expected --kto (right and wrong answers) or --dpo (better beside given ones)")
    with open_store(store) as opened:
        found = _judgements(opened, experts, agent, step, since)
    collect = load_config().collect
    told = export_judgements(found, Path(output), "kto" if form == "kto" else "dpo", collect)
    if not told.rows:
        raise NotJudged(f"no row for {form}: {len(found)} answers were judged{told.why}")
    click.echo(f"{output}: {told.rows} rows of {len(found)} judged answers{told.why}")
    return ExitCode.PASS


@command.command("rewards")
@click.option("--rubric", default="tool_call", show_default=True, metavar="NAME", help="The rewards to be checked.")
@click.option("--experts", is_flag=True, help="Without what users said.")
@click.option("--agent", metavar="NAME", help="Of this agent alone.")
@click.option("--step", metavar="STEP", help="Of this step alone.")
@click.option("--since", metavar="TIME", help="From this time on (RFC 3339)  [default: all that is kept].")
@store_option
@json_option
def rewards(
    rubric: str,
    experts: bool,
    agent: str | None,
    step: str | None,
    since: str | None,
    store: str | None,
    json_file: str | None,
) -> int:
    """Whether rewards prefer the answers that people prefer: of two answers to one request, the better must get more.

    Exits with 1 where a worse answer gets more, and with 3 where people judged nothing that can be compared.
    """
    import asyncio
    from pathlib import Path

    from agentkit.config import rewards_folder
    from agentkit.grade import load_rubric
    from agentkit.tune.reward_checks import cases_of, check_rewards

    check_writable(json_file)
    loaded = load_rubric(rubric, Path(rewards_folder()))
    with open_store(store) as opened:
        judged = _judgements(opened, experts, agent, step, since)
    cases = cases_of(judged)
    if not cases:
        raise NotJudged(
            f"{len(judged)} answers were judged, of which no two answer the same request, one of them better"
        )
    found = asyncio.run(check_rewards(loaded, cases))
    if json_file is not None:
        write_json(json_file, found.document())
    if json_file != "-":
        share, low, high = found.share
        told = (
            "no part applies to them" if share is None else f"{share:.0%} in people's order ({low:.0%} to {high:.0%})"
        )
        click.echo(
            f"{found.rubric}: {found.n} pairs of answers, {told}; {found.tied} tied, {found.silent} without reward"
        )
        for it in found.misordered[:10]:
            click.echo(f"  {it}")
    return ExitCode.FAIL if found.misordered else ExitCode.PASS


def _judgements(store: Store, experts: bool, agent: str | None, step: str | None, since: str | None) -> list[Judgement]:
    from agentkit.collect.labels.rows import PEOPLE, judgements
    from agentkit.records import Source

    sources = (Source.EXPERT,) if experts else PEOPLE
    exchanges = store.exchanges(agent=agent, step=step, since=since)
    return judgements(exchanges, store.feedback(since=since), sources)


def _agreement(store: Store, settings: LabelSettings) -> Agreement:
    from agentkit.collect.labels.agreement import agreement
    from agentkit.collect.labels.lots import lots

    said = store.feedback(since=_since(settings))
    return agreement(said, lots(said, settings), settings.window)


def _since(settings: LabelSettings) -> str:
    return (datetime.now(UTC) - timedelta(days=settings.days)).isoformat(timespec="milliseconds")


def _tell(found: Agreement, settings: LabelSettings) -> None:
    labels = ", ".join(f"{name} {count}" for name, count in found.labels.items()) or "none"
    click.echo(f"labels of the last {settings.days} days: {labels}")
    click.echo(f"experts with each other: {_kappa(found.experts, 'pair')}")
    for names, it in found.pairs.items() if len(found.pairs) > 1 else ():
        click.echo(f"  {' and '.join(names)}: {_kappa(it, 'answer')}")
    click.echo(f"experts with the judge: {_kappa(found.judge, 'answer')}")
    for window in found.windows:
        if window.fell:
            told = _kappa(window.agreement, "answer")
            click.echo(f"the judge drifts: {window.since[:10]} to {window.until[:10]}, {told}, p {window.p:.2g}")
    if found.windows and not found.drifted:
        click.echo(f"the judge does not drift: {len(found.windows)} windows of {settings.window} answers")


def _kappa(it: Kappa, what: str) -> str:
    if not it.n:
        return "nothing to compare yet"
    kappa = "is not defined" if it.estimate is None else f"{it.estimate:.2f} ({it.low:.2f} to {it.high:.2f})"
    return f"kappa {kappa}, {it.agreed} of {it.n} {what}{'s' if it.n != 1 else ''} agree"


def _listening(store: Store, settings: LabelSettings, expert: str | None, port: int) -> Labeller:
    from agentkit.web.label import Labeller

    try:
        return Labeller(store, settings, expert=expert, port=port)
    except OSError as error:
        raise UsageError(
            f"--port: 127.0.0.1:{port} cannot be used: {error.strerror}; --port 0 takes a free one"
        ) from None
