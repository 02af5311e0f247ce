"""Runs that the loop plays: what `agentkit run` does, taken up again where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentkit.config import AgentSettings, Config
from agentkit.llm import Budget
from agentkit.play.session import RunSettings, Session, open_session, play_session, recorded_settings, resume_session
from agentkit.play.spending import spent_totals
from agentkit.play.users import chosen_users
from agentkit.play.variants import choose_variants
from agentkit.records import Run
from agentkit.scenario import Loaded, load
from agentkit.serve.players import players
from agentkit.store import Store

_CONCURRENCY = 16
_TRACES = Path(".agentkit") / "traces"


@dataclass(frozen=True, slots=True)
class Runs:
    """Where runs are played."""

    store: Store
    config: Config
    paths: tuple[str, ...]
    tell: Callable[[str], None] = lambda _: None

    def scenarios(self) -> tuple[Loaded, ...]:
        """Raises ScenarioError where one of them is none."""
        return load([Path(path) for path in self.paths])

    def settings(
        self,
        agent: str,
        settings: AgentSettings,
        scenarios: Sequence[Loaded],
        *,
        detours: str,
        trials: int,
        seed: int,
        user: str | None = None,
        concurrency: int = _CONCURRENCY,
    ) -> RunSettings:
        """Of a run of all variants that `detours` names."""
        return RunSettings(
            paths=self.paths,
            agent=agent,
            agent_settings=settings,
            user=user,
            users=chosen_users(scenarios, user, self.config),
            variants=choose_variants(scenarios, [part.strip() for part in detours.split(",")]).cells,
            trials=trials,
            seed=seed,
            judge=self.config.judge,
            limits=self.config.limits,
            concurrency=concurrency,
        )

    def play(self, settings: RunSettings, opened: Callable[[Run], None] = lambda _: None) -> Run:
        """Play a new run; `opened` is told of it before its first trial."""
        scenarios = self.scenarios()
        budget = Budget()

        def begin(agent: object, users: object) -> Session:
            session = open_session(settings, scenarios, agent, self.store, users=users)  # type: ignore[arg-type]
            opened(session.run)
            return session

        return self._play(settings, scenarios, budget, begin)

    def go_on(self, ref: str) -> Run:
        """Play what is left of a run. Raises UsageError where its scenarios or its agent have changed."""
        run = self.store.run(ref)
        if run.status == "finished":
            return run
        settings = recorded_settings(run, self.config)
        scenarios = [it for it in load([Path(path) for path in settings.paths]) if it.id in run.scenarios]
        budget = Budget(spent=spent_totals(run.spent))
        return self._play(
            settings,
            scenarios,
            budget,
            lambda agent, users: resume_session(run, scenarios, agent, self.store, users=users),  # type: ignore[arg-type]
        )

    def _play(
        self,
        settings: RunSettings,
        scenarios: Sequence[Loaded],
        budget: Budget,
        begin: Callable[[object, object], Session],
    ) -> Run:
        cast = players(settings, scenarios, self.config, budget, self.store, on_progress=self.tell)
        with cast as playing, asyncio.Runner() as runner:
            session = begin(playing.agent, playing.users)
            return runner.run(
                play_session(
                    session,
                    playing.agent,
                    judge=playing.judge,
                    budget=budget,
                    trace_folder=_TRACES / session.run.id,
                    listener=lambda _: None,
                )
            )
