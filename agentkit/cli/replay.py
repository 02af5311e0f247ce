"""`agentkit replay`: one turn of a recorded trial again, n times."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentkit.cli.options import check_writable, json_option, open_store, store_option, write_json
from agentkit.errors import ExitCode, NotJudged, UsageError, near_match

if TYPE_CHECKING:
    from agentkit.config import Config
    from agentkit.play.replay import Replay
    from agentkit.play.session import RunSettings
    from agentkit.records import Run, Trial
    from agentkit.scenario import Loaded


@click.command("replay")
@click.argument("trial")
@click.option("--at", "step", required=True, metavar="STEP", help="Id of the step whose turn is played again.")
@click.option("--run", "run", default="last", show_default=True, metavar="RUN", help="The run that TRIAL is of.")
@click.option("--agent", metavar="NAME", help="Another agent than the one that played it.")
@click.option("--samples", default=5, show_default=True, type=click.IntRange(min=1), help="How often it is played.")
@click.option("--accept", is_flag=True, help="Go on although the scenario has changed since.")
@click.option("--max-calls", type=click.IntRange(min=0), help="Hard limit on model calls.")
@store_option
@json_option
def command(
    trial: str,
    step: str,
    run: str,
    agent: str | None,
    samples: int,
    accept: bool,
    max_calls: int | None,
    store: str | None,
    json_file: str | None,
) -> int:
    """What would the agent have done here? Take up TRIAL (its number, its id, or scenario/variant#n) just before the
    turn of a step, and play that turn again.

    Exits with 3 where no sample could be judged.
    """
    from agentkit.config import load_config
    from agentkit.llm import Budget
    from agentkit.play.replay import place
    from agentkit.play.session import recorded_settings
    from agentkit.serve.players import players

    check_writable(json_file)
    config = load_config()
    with open_store(store) as opened:
        recorded = opened.run(run)
        whole = opened.trial(recorded.id, trial)
        place(whole, step)
        settings = _settings(recorded_settings(recorded, config), agent, config)
        loaded = _scenario(recorded, whole, settings, accept=accept)
        budget = Budget(max_calls)
        with players(settings, [loaded], config, budget, opened) as cast:
            found = asyncio.run(_replay(whole, step, loaded, recorded, settings, cast, samples))
            deterministic = cast.agent.deterministic
    from agentkit.cli.replayed import print_replay, replay_document

    if json_file is not None:
        write_json(json_file, replay_document(found, settings.agent, deterministic=deterministic))
    if json_file != "-":
        print_replay(found, settings.agent, deterministic=deterministic)
    if not any(sample.steps for sample in found.samples):
        raise NotJudged(f"no sample could be judged: {found.stopped or found.samples[0].reason}")
    return ExitCode.PASS


async def _replay(
    trial: Trial, step: str, loaded: Loaded, run: Run, settings: RunSettings, cast: Any, samples: int
) -> Replay:
    from agentkit.play.conversation import build_conversation
    from agentkit.play.replay import replay
    from agentkit.play.trial import Setting
    from agentkit.scenario import close_worlds
    from agentkit.tracing import Tracing

    tracing = Tracing.off()
    setting = Setting(
        run=run.id,
        agent=cast.agent,
        judge=cast.judge,
        limits=settings.limits,
        seed=run.seed,
        tracing=tracing,
        conversation=build_conversation(),
    )
    try:
        return await replay(trial, step, loaded, setting, samples, settings.concurrency)
    finally:
        await cast.agent.close()
        await close_worlds([loaded])
        tracing.close()


def _settings(settings: RunSettings, agent: str | None, config: Config) -> RunSettings:
    """Those of the run, with another agent where one is named, and nobody to play the user."""
    from agentkit.config import agent_settings

    changed: dict[str, Any] = {"user": None, "users": {}, "user_hashes": {}}
    if agent is not None:
        changed |= {"agent": agent, "agent_settings": agent_settings(agent, config)}
    return settings.model_copy(update=changed)


def _scenario(run: Run, trial: Trial, settings: RunSettings, *, accept: bool) -> Loaded:
    """The trial's scenario as it is now. Raises UsageError where it is gone, or is another than the one played."""
    from agentkit.scenario import load

    name = trial.key.scenario
    known = {loaded.id: loaded for loaded in load([Path(path) for path in settings.paths])}
    if name not in known:
        raise UsageError(f"{', '.join(settings.paths)}: no scenario {name!r} any more{near_match(name, known)}")
    if known[name].hash != run.scenarios.get(name) and not accept:
        raise UsageError(f"{name} changed since run {run.id} was played; --accept plays it as it is now")
    return known[name]
