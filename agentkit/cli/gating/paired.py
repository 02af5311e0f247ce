"""Plays the baseline's own instances, so that every trial of the candidate has its true pair."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from agentkit.cli.gating.rounds import Gate
from agentkit.cli.progress import live_progress
from agentkit.config import Config, agent_settings
from agentkit.errors import NotJudged, UsageError, near_match
from agentkit.gate import GateVerdict, Recorded
from agentkit.gate.comparable import users_refused
from agentkit.gate.project.judges import names
from agentkit.gate.project.sides import tags_in
from agentkit.gate.recorded import StepTags, step_tags
from agentkit.gate.rows import refuse_forks
from agentkit.gate.safety import own_steps
from agentkit.gate.settings import Selectable, select
from agentkit.llm import Budget
from agentkit.play.plan import Planned, instance_seed, plan
from agentkit.play.runner import Progress
from agentkit.play.session import (
    RunSettings,
    Session,
    open_session,
    play_session,
    recorded_settings,
    resume_session,
)
from agentkit.play.spending import spent_totals
from agentkit.play.users import chosen_users
from agentkit.records import Run
from agentkit.scenario import Loaded, load
from agentkit.serve.players import players
from agentkit.store import Store

_FARTHEST = 10_000
"""So many instances of a seed are looked through for those of the baseline."""


def begin(
    gate: Gate,
    store: Store,
    scenarios: Sequence[Loaded],
    paths: Sequence[str],
    agent: str,
    config: Config,
    budget: Budget,
    *,
    user: str | None,
    concurrency: int,
) -> tuple[Run, GateVerdict]:
    """Play a new run of `agent` against the baseline, as far as it takes.

    Raises:
        UsageError: the baseline's trials cannot be played, or there is no such agent.
        NotJudged: its scenarios have changed.
    """
    chosen, variants = _chosen(gate, scenarios)
    _set_aside(gate, scenarios)
    settings = RunSettings(
        paths=tuple(paths),
        agent=agent,
        agent_settings=agent_settings(agent, config),
        judge=config.judge,
        limits=config.limits,
        user=user,
        users=chosen_users(chosen, user, config),
        variants=variants,
        trials=_instances(gate.base, chosen),
        repeats=1 + max(repeat for cell in gate.base.cells for _, repeat in (*cell.keys, *cell.invalid)),
        seed=gate.base.seed,
        concurrency=concurrency,
    )
    trials = pairs(gate.base, settings, chosen)

    def opened(cast: Any) -> Session:
        _refuse_users(gate, cast.users.hashes())
        return open_session(settings, chosen, cast.agent, store, trials, cast.users)

    return _play(gate, store, settings, chosen, config, budget, opened)


def go_on(
    gate: Gate, store: Store, run: Run, config: Config, limits: tuple[int | None, float | None]
) -> tuple[Run, GateVerdict]:
    """Take a gate's run up again where it stopped."""
    refuse_forks(run)
    settings = recorded_settings(run, config)
    every = load([Path(path) for path in settings.paths])
    scenarios = [it for it in every if it.id in run.scenarios]
    chosen, _ = _chosen(gate, scenarios)
    _set_aside(gate, every)
    trials = pairs(gate.base, settings, chosen)
    budget = Budget(*limits, spent=spent_totals(run.spent))

    def opened(cast: Any) -> Session:
        return resume_session(run, scenarios, cast.agent, store, trials, cast.users)

    return _play(gate, store, settings, chosen, config, budget, opened)


def pairs(base: Recorded, settings: RunSettings, scenarios: Sequence[Loaded]) -> tuple[Planned, ...]:
    """The baseline's valid trials, to be played again, instance by instance.

    Raises:
        UsageError: a variant or an instance of the baseline is not among what its seed gives.
    """
    wanted = {(cell.scenario, cell.variant, *key) for cell in base.cells for key in cell.keys}
    every = plan(
        scenarios, trials=settings.trials, repeats=settings.repeats, seed=settings.seed, variants=settings.variants
    )
    found = tuple(it for it in every if (it.key.scenario, it.key.variant, it.key.instance, it.key.repeat) in wanted)
    if len(found) < len(wanted):
        raise UsageError(
            f"{len(wanted) - len(found)} of the baseline's trials cannot be played again from its seed {base.seed}; "
            "write it from a run of these scenarios (agentkit baseline)"
        )
    return found


def _instances(base: Recorded, scenarios: Sequence[Loaded]) -> int:
    """How many instances of its seed it takes to hold all of the baseline's."""
    cycles = {loaded.id: loaded.cycle for loaded in scenarios}
    wanted = {(cycles[cell.scenario], instance) for cell in base.cells for instance in cell.instances.tolist()}
    for number in range(_FARTHEST):
        wanted -= {(cycle, instance_seed(base.seed, number, cycle)) for cycle in set(cycles.values())}
        if not wanted:
            return number + 1
    raise UsageError(
        f"the baseline's instances are not those of its seed {base.seed}, as where it was imported: they cannot be "
        "played again, so gate a whole run instead (agentkit run, then agentkit gate RUN)"
    )


def _chosen(gate: Gate, scenarios: Sequence[Loaded]) -> tuple[list[Loaded], tuple[tuple[str, str], ...]]:
    """The baseline's scenarios, which must be as they were, and what of them to play."""
    by_id = {loaded.id: loaded for loaded in scenarios}
    for name in gate.base.scenarios:
        if name not in by_id:
            raise UsageError(f"the baseline's scenario {name!r} is not here{near_match(name, by_id)}")
    changed = [name for name, known in gate.base.scenarios.items() if by_id[name].hash != known]
    accepted = gate.settings.accept
    if refused := [name for name in changed if name not in accepted and "*" not in accepted]:
        raise NotJudged(
            f"changed since the baseline was written, so nothing was played: {', '.join(refused)}; accept the change "
            "(--accept), or write the baseline again"
        )
    return [by_id[name] for name in gate.base.scenarios], tuple((it.scenario, it.variant) for it in gate.base.cells)


@dataclass(frozen=True, slots=True)
class _Written:
    """The steps of one scenario and variant as its file has them, for a selector to look at."""

    id: str
    steps: tuple[str, ...]
    skills: tuple[str | None, ...]
    tags: StepTags


def _written(loaded: Loaded) -> Iterator[_Written]:
    detours, tags = {it.id: it.turns or () for it in loaded.scenario.detours}, tags_in([loaded])
    for variant in loaded.variants:
        turns = (*loaded.scenario.turns, *detours.get(variant, ()))
        steps = [step for turn in turns for step in turn.steps]
        ids, skills = tuple(it.id for it in steps), tuple(it.skill for it in steps)
        yield _Written(f"{loaded.id}/{variant}", ids, skills, step_tags(tags, loaded.id, variant, ids))


def _set_aside(gate: Gate, scenarios: Sequence[Loaded]) -> None:
    """Take out safety limits of steps that only scenarios without trials in the baseline have, and note each.

    Raises:
        UsageError: one names no step of any scenario.
    """
    base = gate.base
    written = [it for loaded in scenarios for it in _written(loaded)]
    changed = [it for it in scenarios if it.id in base.scenarios and it.hash != base.scenarios[it.id]]
    played = {cell.id for cell in base.cells}
    new = (it for loaded in changed for it in _written(loaded) if it.id in played)
    here: tuple[Selectable, ...] = (*own_steps(base, base), *new)
    other = [it for it in gate.settings.safety if not names(here, it)]
    for selector in other:
        select((*here, *written), selector)
    gate.notes = tuple(
        f"safety {it} is not judged: no scenario of the baseline has the step, and in rounds these alone are played; "
        "gate a whole run to judge it (agentkit run, then agentkit gate RUN)"
        for it in other
    )
    kept = {it: limit for it, limit in gate.settings.safety.items() if it not in other}
    gate.settings = replace(gate.settings, safety=kept)


def _refuse_users(gate: Gate, users: Mapping[str, str]) -> None:
    """Before anything is spent. Raises NotJudged where others would speak than in the baseline."""
    if refused := users_refused(gate.base, users, gate.settings):
        raise NotJudged(f"{refused[0]}; nothing was played")


def _play(
    gate: Gate,
    store: Store,
    settings: RunSettings,
    scenarios: Sequence[Loaded],
    config: Config,
    budget: Budget,
    opened: Callable[[Any], Session],
) -> tuple[Run, GateVerdict]:
    cast_of = players(settings, scenarios, config, budget, store)
    with cast_of as cast, asyncio.Runner() as runner:
        session = opened(cast)
        folder = Path(".agentkit") / "traces" / session.run.id
        with live_progress(session, budget) as listener:
            try:
                run = runner.run(
                    play_session(
                        session,
                        cast.agent,
                        judge=cast.judge,
                        budget=budget,
                        trace_folder=folder,
                        listener=_Whole(session, store, listener),
                        rounds=gate.playing(session),
                    )
                )
            except KeyboardInterrupt:
                click.echo(f"\nstopped; go on with: agentkit gate --sequential --resume {session.run.id}", err=True)
                raise
    if gate.last is None or gate.last.verdict is None:  # a hard limit came first: nothing more will be played
        gate.judge(store, run, finished=True)
    assert gate.last is not None
    assert gate.last.verdict is not None, "a finished gate has a verdict"
    return run, gate.last.verdict


class _Whole:
    """Tells the progress of a round as that of the whole run."""

    def __init__(self, session: Session, store: Store, listener: Callable[[Progress], None]) -> None:
        self._planned = len(session.trials)
        self._listener = listener
        self._before = len(store.keys(session.run.id))
        self._now = self._round = self._successes = self._invalid = 0
        self._last = (0, 0, 0)

    def __call__(self, heard: Progress) -> None:
        if heard.now == 0:  # a round begins
            self._now, self._successes, self._invalid = (
                known + last
                for known, last in zip((self._now, self._successes, self._invalid), self._last, strict=True)
            )
        self._last = (heard.now, heard.successes, heard.invalid)
        now = self._now + heard.now
        self._listener(
            replace(
                heard,
                planned=self._planned,
                played=self._before + now,
                now=now,
                successes=self._successes + heard.successes,
                invalid=self._invalid + heard.invalid,
            )
        )
