"""Plays the items of one pytest session: one agent, one store, one recorded run."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentkit.errors import AgentkitError, SuiteError, UsageError
from agentkit.pytest_plugin import PLAYER
from agentkit.pytest_plugin.words import Words
from agentkit.records import GOLDEN, Run, Trial, TrialKey

if TYPE_CHECKING:
    from agentkit.pytest_plugin.result import Judgement, Result
    from agentkit.scenario import Loaded


class Broken(Exception):
    """An item that does not pass; it shows the conversation around the failing step."""

    def __init__(self, result: Result, verdict: Judgement) -> None:
        super().__init__(verdict.reason)
        self.result = result
        self.verdict = verdict

    def report(self) -> str:
        from agentkit.pytest_plugin.report import failure

        return failure(self.result, self.verdict)


def player_of(config: pytest.Config) -> Player:
    """The session's player, made when it is first asked for."""
    if PLAYER not in config.stash:
        option = config.getoption
        config.stash[PLAYER] = Player(
            agent=option("agentkit_agent"),
            trials=option("agentkit_trials"),
            seed=option("agentkit_seed"),
            floor=option("agentkit_min"),
            baseline=option("agentkit_baseline"),
            store=option("agentkit_store"),
            detours=option("agentkit_detours"),
        )
    return config.stash[PLAYER]


@dataclass(slots=True)
class _Open:
    """An agent with all that playing needs, opened once, and the run that its trials are recorded in."""

    name: str
    """The agent's."""
    run: Run
    store: Any
    agent: Any
    setting: Any
    budget: Any
    concurrency: int
    suites: frozenset[Path] | None
    """Folders of the suites whose tools and policy the agent was made of; None: it takes them turn by turn."""
    served: Any
    """The server of the agent's model, where that is served here."""
    places: dict[TrialKey, int] = field(default_factory=dict)
    """Of all trials so far, those included that were begun and not played to their end."""
    status: str = "running"

    def record(self) -> None:
        """Write down how far the run has come."""
        from agentkit.play.spending import spent_record

        self.store.update_run(
            self.run.id,
            status=self.status,
            spent=spent_record(self.budget.totals),
            planned=len(self.places),
            scenarios=self.run.scenarios,
        )

    def fits(self, name: str, loaded: Loaded) -> bool:
        """Whether it is this agent, with the tools, policy and user of a scenario."""
        from agentkit.play.user import user_name

        made = self.suites is None or loaded.suite.folder.resolve() in self.suites
        return self.name == name and made and user_name(loaded, None) in self.setting.users.known


class Player:
    """Plays items one after the other, and records an agent's trials in one run; in a further one where a later suite
    needs an agent made of other tools, or other users."""

    def __init__(
        self,
        *,
        agent: str | None = None,
        trials: int = 5,
        seed: int = 0,
        floor: float | None = None,
        baseline: str | None = None,
        store: str | None = None,
        detours: str = "own",
    ) -> None:
        if trials < 1:
            raise pytest.UsageError(f"--agentkit-trials: found {trials}, expected 1 or more")
        if floor is not None and not 0 <= floor <= 1:
            raise pytest.UsageError(f"--agentkit-min: found {floor}, expected a number from 0 to 1")
        if floor is not None and baseline is not None:
            raise pytest.UsageError("--agentkit-min and --agentkit-baseline are two ways to judge; name one")
        if baseline is not None and not Path(baseline).is_file():
            raise pytest.UsageError(f"--agentkit-baseline: there is no file {baseline}")
        self.agent_name = agent
        self.trials = trials
        self.seed = seed
        self.floor = floor
        self.baseline = baseline
        self.words = Words(detours)
        self._store_url = store
        self._files: list[Path] = []
        self._loaded: dict[Path, tuple[Loaded, ...] | AgentkitError] = {}
        self._runner: asyncio.Runner | None = None
        self._stack = ExitStack()
        self._open: list[_Open] = []

    def announce(self, path: Path) -> None:
        """A file whose scenarios may be played: all are loaded together when the first is."""
        self._files.append(path)

    def scenarios(self, path: Path) -> tuple[Loaded, ...]:
        """The scenarios of a file. Raises SuiteError where it is wrong."""
        from agentkit.scenario import load

        if path not in self._loaded:
            files = [file for file in dict.fromkeys([*self._files, path]) if file not in self._loaded]
            try:
                found = load(files)
                for file in files:
                    self._loaded[file] = tuple(it for it in found if it.file.resolve() == file.resolve())
            except SuiteError:  # some file is wrong: the others are played all the same
                for file in files:
                    self._loaded[file] = _load_alone(file)
        loaded = self._loaded[path]
        if isinstance(loaded, AgentkitError):
            raise loaded
        return loaded

    def play(
        self,
        path: Path,
        scenario: str | None = None,
        variant: str = GOLDEN,
        *,
        agent: str | None = None,
        trials: int | None = None,
        seed: int | None = None,
    ) -> Result:
        """Play a scenario's variant. Raises AgentkitError where it cannot be played."""
        from agentkit.pytest_plugin.result import Result

        loaded = self._scenario(path, scenario)
        name = agent or self.agent_name or loaded.scenario.agent
        if name is None:
            raise UsageError(f"{loaded.id} names no agent: say --agentkit-agent NAME")
        opened = self._opened(name, loaded)
        played = self._play(opened, loaded, variant, trials or self.trials, self.seed if seed is None else seed)
        return Result(opened.run, loaded, variant, played)

    def without_place(self, path: Path, scenario: str | None, variant: str) -> str | None:
        """Why the scenario gives a detour of the catalogue no place; None where it does."""
        if ":" not in variant:
            return None
        from agentkit.play.variants import no_place
        from agentkit.scenario.detours import parse_variant

        loaded, (_, detours) = self._scenario(path, scenario), parse_variant(variant)
        return next((why for detour in detours if (why := no_place(loaded, detour)) is not None), None)

    def judge(self, result: Result) -> Judgement:
        """Whether an item passes."""
        from agentkit.pytest_plugin.result import judge

        return judge(result, floor=self.floor, baseline=self.baseline)

    def farewell(self) -> list[str]:
        """What to tell at the end of the session."""
        cut = {it.run.id: f", {it.status}" for it in self._open if it.status in ("interrupted", "stopped")}
        return [
            f"agentkit: run {it.run.id} ({it.name}{cut.get(it.run.id, '')}); see: agentkit show {it.run.id}"
            for it in self._open
        ]

    def close(self, *, interrupted: bool = False) -> None:
        """Stop what was started, and close the records. A run is finished where the session was not interrupted, and
        no item left trials out."""
        for opened in self._open:
            whole = len(opened.store.keys(opened.run.id)) >= len(opened.places)
            opened.status = "interrupted" if interrupted else "finished" if whole else "stopped"
            opened.record()
            self._asyncio().run(opened.agent.close())
            self._asyncio().run(opened.setting.users.close())
        self._stack.close()
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _scenario(self, path: Path, scenario: str | None) -> Loaded:
        known = self.scenarios(path)
        found = [it for it in known if scenario is None or it.id == scenario]
        if len(found) != 1:
            raise UsageError(f"{path}: {len(found)} scenarios here; name one of {[it.id for it in known]}")
        return found[0]

    def _asyncio(self) -> asyncio.Runner:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner

    def _play(self, opened: _Open, loaded: Loaded, variant: str, trials: int, seed: int) -> tuple[Trial, ...]:
        """Each is recorded as it ends; what an earlier item of this session has played is not played again."""
        from agentkit.play.plan import Planned, plan
        from agentkit.play.runner import play_all

        planned = plan([loaded], trials=trials, repeats=1, seed=seed, variants=[(loaded.id, variant)])
        for it in planned:
            opened.places.setdefault(it.key, len(opened.places))
        opened.record()
        playing = play_all(
            [Planned(opened.places[it.key], it.key) for it in planned],
            {loaded.id: loaded},
            replace(opened.setting, seed=seed),
            opened.store,
            budget=opened.budget,
            concurrency=opened.concurrency,
            listener=lambda progress: None,
        )
        self._asyncio().run(playing)
        played = {it.key: it for it in opened.store.trials(opened.run.id, scenario=loaded.id, variant=variant)}
        return tuple(played[it.key] for it in planned)

    def _opened(self, name: str, loaded: Loaded) -> _Open:
        """The agent, ready to play the scenario; its run is recorded the first time."""
        opened = next((it for it in self._open if it.fits(name, loaded)), None)
        if opened is None:
            opened = self._begin(name, loaded)
            self._open.append(opened)
        if opened.run.scenarios.get(loaded.id) != loaded.hash:
            opened.run = replace(opened.run, scenarios={**opened.run.scenarios, loaded.id: loaded.hash})
        return opened

    def _together(self, loaded: Loaded) -> list[Loaded]:
        """What an agent is made ready for at once: all that was collected, as in `agentkit run`, where the scenario's
        suite was; else what is loaded of that suite."""
        every = [it for found in self._loaded.values() if isinstance(found, tuple) for it in found]
        files = {file.resolve() for file in self._files}
        collected = [it for it in every if it.file.resolve() in files]
        suite = loaded.suite.folder.resolve()
        if any(it.suite.folder.resolve() == suite for it in collected):
            return [*collected, loaded]
        return [it for it in every if it.suite.folder.resolve() == suite]

    def _begin(self, name: str, loaded: Loaded) -> _Open:
        from agentkit.config import GraphAgent, agent_settings, load_config, store_url
        from agentkit.llm import Budget
        from agentkit.play.conversation import build_conversation
        from agentkit.play.session import RunSettings, open_session
        from agentkit.play.trial import Setting
        from agentkit.play.users import chosen_users
        from agentkit.serve.players import players
        from agentkit.store import Store
        from agentkit.tracing import Tracing

        config = load_config()
        known = self._together(loaded)
        settings = RunSettings(
            paths=(str(loaded.file),),
            users=chosen_users(known, None, config),
            agent=name,
            agent_settings=agent_settings(name, config),
            judge=config.judge,
            variants=(),
            trials=self.trials,
            seed=self.seed,
            limits=config.limits,
        )
        store = self._stack.enter_context(Store.open(self._store_url or store_url(config)))
        budget = Budget()
        served = next((it.served for it in self._open if it.name == name), None)
        cast = self._stack.enter_context(players(settings, known, config, budget, store, served=served))
        run = open_session(settings, [], cast.agent, store, users=cast.users).run
        tracing = Tracing.open(run_id=run.id, folder=Path(".agentkit") / "traces" / run.id)
        self._stack.callback(tracing.close)
        conversation = build_conversation()
        setting = Setting(run.id, cast.agent, cast.judge, config.limits, self.seed, tracing, conversation, cast.users)
        suites = None
        if isinstance(settings.agent_settings, GraphAgent):  # its factory alone is given tools and policy beforehand
            suites = frozenset(it.suite.folder.resolve() for it in known)
        return _Open(name, run, store, cast.agent, setting, budget, settings.concurrency, suites, cast.served)


def _load_alone(file: Path) -> tuple[Loaded, ...] | AgentkitError:
    from agentkit.scenario import load

    try:
        return load([file])
    except AgentkitError as error:
        return error
