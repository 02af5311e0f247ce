"""`agentkit run`: play scenarios, show what compounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from agentkit.cli.chosen import chosen_scenarios, chosen_variants
from agentkit.cli.options import check_writable, json_option, open_store, refuse_unused, store_option, write_json
from agentkit.errors import BudgetExhausted, ExitCode, NotJudged, UsageError

if TYPE_CHECKING:
    from agentkit.config import Config
    from agentkit.play.plan import Planned
    from agentkit.play.session import RunSettings
    from agentkit.records import Run
    from agentkit.scenario import Loaded
    from agentkit.store import Store


@click.command("run")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--agent",
    "agents",
    multiple=True,
    metavar="NAME",
    help="Agent of [tool.agentkit.agents], or scripted:P. Repeatable.",
)
@click.option(
    "--trials",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    help="Instances of every scenario and variant.",
)
@click.option("--repeats", default=1, show_default=True, type=click.IntRange(min=1), help="Plays of every instance.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Drives everything that is drawn at random.",
)
@click.option("--concurrency", default=8, show_default=True, type=click.IntRange(min=1), help="Trials played at once.")
@click.option(
    "--detours",
    default="own",
    show_default=True,
    metavar="WHICH",
    help="own: all that the scenarios define; none; first: one each; or ids, comma-separated. Of the catalogue: all, "
    "user, tool, model, or ids such as tool:timeout; an intensity follows an @ (user,tool:timeout@0.3).",
)
@click.option(
    "--pairwise",
    is_flag=True,
    help="Combine the catalogue's detours, at most one each of user, tool and model, so that any two of different "
    "parties meet in few trials.",
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only scenarios with this tag. Repeatable.")
@click.option(
    "--max-calls",
    type=click.IntRange(min=0),
    help="Hard limit on model calls, over all agents and sittings; stops cleanly, to be resumed.",
)
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="DOLLARS",
    help="Hard limit on cost, over all agents and sittings; stops cleanly, to be resumed.",
)
@click.option(
    "--user",
    metavar="NAME",
    help="Who plays the user: one of [tool.agentkit.users], scripted, or templated[:STYLE]  "
    "[default: the scenario's own, else scripted].",
)
@click.option("--replay-users", is_flag=True, help="Users say only what is recorded; a missing recording is an error.")
@click.option(
    "--fork", is_flag=True, help="Sample turn by turn, each from a right history, instead of playing conversations."
)
@click.option(
    "--samples", default=1, show_default=True, type=click.IntRange(min=1), help="With --fork: samples of every fork."
)
@click.option(
    "--after",
    default="pooled",
    show_default=True,
    type=click.Choice(["pooled", "each"]),
    help="With --fork: a golden turn that follows detours is sampled once for all of them, or after each.",
)
@click.option("--resume", metavar="RUN", help="Take up RUN ('last', an id or its beginning) where it stopped.")
@store_option
@json_option
def command(
    paths: tuple[str, ...],
    agents: tuple[str, ...],
    trials: int,
    repeats: int,
    seed: int,
    concurrency: int,
    detours: str,
    pairwise: bool,
    tags: tuple[str, ...],
    max_calls: int | None,
    max_cost: float | None,
    user: str | None,
    replay_users: bool,
    fork: bool,
    samples: int,
    after: Literal["pooled", "each"],
    resume: str | None,
    store: str | None,
    json_file: str | None,
) -> int:
    """Play scenarios (files or folders; default: the project's) and show per-step and compounded accuracy.

    Exits with 0 whatever the agents scored, and with 3 where nothing valid was played of one of them. Those for which
    the agents before them left nothing of a hard limit are not played.
    """
    from agentkit.config import load_config

    check_writable(json_file)
    _refuse_mixed(click.get_current_context(), fork)
    config = load_config()
    limits = _HardLimits(max_calls, max_cost)
    with open_store(store) as opened:
        if resume is not None:
            _refuse_with_resume(click.get_current_context())
            run = _resume(opened, resume, config, limits, replay_users)
            return _show(opened, [run], json_file)
        paths = paths or (config.scenarios,)
        scenarios = chosen_scenarios(paths, tags)
        variants = chosen_variants(scenarios, detours, pairwise=pairwise).cells
        names = _agents(agents, scenarios, config)
        _verify_adapters(names, config, opened)
        runs: list[Run] = []
        exhausted = ""
        for name in names:
            try:
                left = _left(limits, runs)
            except BudgetExhausted as reached:
                exhausted = str(reached)
                break
            settings = _settings(
                name,
                config,
                paths=paths,
                variants=variants,
                trials=trials,
                repeats=samples if fork else repeats,
                fork=after if fork else None,
                seed=seed,
                concurrency=concurrency,
                user="scripted" if fork else user,  # a right history is made of the scenario's own words
                users=_users(scenarios, "scripted" if fork else user, config),
            )
            runs.append(_play(opened, settings, scenarios, config, left, replay_users))
        return _show(opened, runs, json_file, names[len(runs) :], exhausted)


@dataclass(frozen=True, slots=True)
class _HardLimits:
    """On what all runs of a command spend together."""

    calls: int | None
    cost: float | None


def _left(limits: _HardLimits, runs: Sequence[Run]) -> _HardLimits:
    """What the runs so far leave of the limits to the next one.

    Raises:
        BudgetExhausted: nothing.
    """
    from agentkit.llm import Budget, Totals
    from agentkit.play.spending import spent_totals

    spent = [spent_totals(run.spent) for run in runs]
    calls, cost = sum(it.calls for it in spent), sum(it.known_cost for it in spent)
    if calls:  # who asks no model may play with a limit of 0
        totals = Totals(calls, known_cost=cost, unpriced=sum(it.unpriced for it in spent))
        Budget(limits.calls, limits.cost, spent=totals).check()
    return _HardLimits(
        None if limits.calls is None else limits.calls - calls, None if limits.cost is None else limits.cost - cost
    )


def _refuse_with_resume(context: click.Context) -> None:
    """A run goes on as it began: what it was told then cannot be told differently now."""
    fixed = (
        *("paths", "agents", "trials", "repeats", "seed", "concurrency", "detours", "pairwise", "tags", "user"),
        *("fork", "samples", "after"),
    )
    told = [name for name in fixed if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if told:
        raise UsageError(f"--resume takes {', '.join(told)} from the run itself; leave them out")


def _refuse_mixed(context: click.Context, fork: bool) -> None:
    """What is meant for forks alone, or for whole conversations alone."""
    if fork:
        refuse_unused(context, ("repeats",), "does not go with --fork: use --samples")
        given = "the golden history and the words of its user are given"
        refuse_unused(context, ("user", "replay_users"), f"does not go with --fork: {given}")
    else:
        refuse_unused(context, ("samples", "after"), "goes with --fork")


def _agents(names: Sequence[str], scenarios: Sequence[Loaded], config: Config) -> list[str]:
    """The agents to play, by default the one that all the scenarios are written for."""
    from agentkit.config import agent_settings

    chosen = list(dict.fromkeys(names)) or sorted(
        {loaded.scenario.agent for loaded in scenarios if loaded.scenario.agent}
    )
    if not chosen:
        raise UsageError(f"--agent: name one of {sorted({*config.agents, 'scripted:P'})}; the scenarios name none")
    if not names and len(chosen) > 1:
        raise UsageError(f"--agent: the scenarios are written for several agents ({', '.join(chosen)}); name one")
    for name in chosen:
        agent_settings(name, config)
    return chosen


def _verify_adapters(names: Sequence[str], config: Config, store: Store) -> None:
    """Refuse an agent whose adapter is missing or tampered with, before the first of them plays."""
    from pathlib import Path

    from agentkit.config import ChatAgent, agent_settings

    for settings in (agent_settings(name, config) for name in names):
        if isinstance(settings, ChatAgent) and settings.adapters:
            from agentkit.serve.registered import find_adapters

            find_adapters(settings.adapters, Path(config.adapters), store)


def _users(scenarios: Sequence[Loaded], told: str | None, config: Config) -> dict[str, Any]:
    """Settings of the simulated users, by name."""
    from agentkit.play.users import chosen_users

    return chosen_users(scenarios, told, config)


def _settings(name: str, config: Config, **told: Any) -> RunSettings:
    from agentkit.config import agent_settings
    from agentkit.play.session import RunSettings

    return RunSettings(
        agent=name, agent_settings=agent_settings(name, config), judge=config.judge, limits=config.limits, **told
    )


def _play(
    store: Store,
    settings: RunSettings,
    scenarios: Sequence[Loaded],
    config: Config,
    limits: _HardLimits,
    replay_users: bool,
) -> Run:
    from agentkit.llm import Budget
    from agentkit.play.session import open_session
    from agentkit.serve.players import players

    budget = Budget(limits.calls, limits.cost)
    with players(settings, scenarios, config, budget, store, replay_users=replay_users) as cast:
        agent, judge, users, _ = cast
        with asyncio.Runner() as runner:  # one event loop for both: a server behind a world belongs to its loop
            forks = _plan_forks(runner, settings, scenarios, agent)
            session = open_session(settings, scenarios, agent, store, forks, users=users)
            return _play_session(runner, session, agent, judge, budget)


def _resume(store: Store, ref: str, config: Config, limits: _HardLimits, replay_users: bool) -> Run:
    from pathlib import Path

    from agentkit.llm import Budget
    from agentkit.play.session import recorded_settings, resume_session
    from agentkit.play.spending import spent_totals
    from agentkit.scenario import load
    from agentkit.serve.players import players

    run = store.run(ref)
    settings = recorded_settings(run, config)
    played = [loaded for loaded in load([Path(path) for path in settings.paths]) if loaded.id in run.scenarios]
    budget = Budget(limits.calls, limits.cost, spent=spent_totals(run.spent))
    with players(settings, played, config, budget, store, replay_users=replay_users) as cast:
        agent, judge, users, _ = cast
        with asyncio.Runner() as runner:
            forks = _plan_forks(runner, settings, played, agent)
            session = resume_session(run, played, agent, store, forks, users=users)
            return _play_session(runner, session, agent, judge, budget)


def _plan_forks(
    runner: asyncio.Runner, settings: RunSettings, scenarios: Sequence[Loaded], agent: Any
) -> tuple[Planned, ...] | None:
    from agentkit.cli.progress import counting
    from agentkit.play.session import fork_plan

    if settings.fork is None:
        return None
    with counting("planning forks", "instances") as listener:
        return runner.run(fork_plan(settings, scenarios, agent, listener))


def _play_session(runner: asyncio.Runner, session: Any, agent: Any, judge: Any, budget: Any) -> Run:
    """Play with live progress; Ctrl-C leaves a run that can be resumed."""
    from pathlib import Path

    from agentkit.cli.progress import live_progress
    from agentkit.play.session import play_session

    trace_folder = Path(".agentkit") / "traces" / session.run.id
    with live_progress(session, budget) as listener:
        try:
            return runner.run(
                play_session(session, agent, judge=judge, budget=budget, trace_folder=trace_folder, listener=listener)
            )
        except KeyboardInterrupt:
            click.echo(f"\nstopped; go on with: agentkit run --resume {session.run.id}", err=True)
            raise


def _show(
    store: Store, runs: Sequence[Run], json_file: str | None, not_played: Sequence[str] = (), exhausted: str = ""
) -> int:
    """Print the runs, and write them where asked. `not_played`: agents that were to play, too, when a limit was
    `exhausted`.

    Raises:
        NotJudged: an agent was not measured.
    """
    from agentkit.cli.document import document, summary
    from agentkit.cli.table import print_run

    documents, silent = [], []
    for run in runs:
        result = summary(store, run)
        documents.append(document(run, result))
        if not any(counts.valid for counts in result.scenarios):
            silent.append(run)
        if json_file != "-":
            print_run(run, result)
    if json_file is not None:
        alone = len(documents) == 1 and not not_played
        write_json(json_file, documents[0] if alone else {"runs": documents, "not_played": list(not_played)})
    missing = []
    if silent:
        told = ", ".join(f"{run.agent} (see: agentkit show {run.id} --invalid)" for run in silent)
        missing.append(f"nothing to judge: no valid trial was played of {told}")
    if not_played:
        missing.append(f"not played: {', '.join(not_played)}: {exhausted}")
    if missing:
        raise NotJudged("\n".join(missing))
    return ExitCode.PASS
