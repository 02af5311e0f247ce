"""One turn of the wheel: stages in order, each of which decides once, says why, and is passed over from then on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agentkit.collect.draft import judged_bad, write_drafts
from agentkit.config import ChatAgent, Config, agent_settings, rewards_folder
from agentkit.errors import UsageError, near_match
from agentkit.loop.play import Stage
from agentkit.loop.production import Production, StepRate, production
from agentkit.records import ANY, AdapterName, Decision, Run, Target, TargetKind, TurnId
from agentkit.serve.canary import CanaryVerdict, look
from agentkit.serve.routes import Refused, end_canary, newest, promote, set_canary
from agentkit.store import Store, stamp
from agentkit.tune.certificate import Promotion
from agentkit.tune.job import Work
from agentkit.tune.jobs import new_job
from agentkit.tune.settings import job_settings

STAGES = ("collect", "draft", "play", "tune", "approve", "canary", "promote")
OPEN = frozenset({"waiting", "begun"})
"""Outcomes after which a stage is asked again."""
LAST = frozenset({"nothing to do", "refused", "promoted", "thrown out", "declined"})
"""Outcomes that end a turn."""
BY = "loop"
_LOOK = 5.0
"""Seconds between two looks at a canary."""


class OverBudget(Exception):
    """The time is used up; the turn goes on another day."""


@dataclass(slots=True)
class Turn:
    """A turn under way. What was decided stands in the store, so that a killed one goes on where it stood."""

    id: TurnId
    store: Store
    config: Config
    agent: str
    tell: Callable[[str], None] = lambda _: None
    deadline: float | None = None
    """Of `time.monotonic`."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    looks_every: float = _LOOK
    decided: dict[str, Decision] = field(default_factory=dict)

    @classmethod
    def open(cls, store: Store, config: Config, **rest: Any) -> Turn:
        """The turn that has not ended, or a new one.

        Raises:
            UsageError: it is not clear whose traffic is looked at.
        """
        known = store.decisions()
        last = known[-1] if known else None
        agent = chosen_agent(config)
        if last is None or last.outcome in LAST:
            name = TurnId(f"turn-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")
        else:
            name = last.turn
        decided = {it.stage: it for it in store.decisions(name)}
        return cls(name, store, config, agent, decided=decided, **rest)

    def go(self) -> Decision:
        """Do what is left, and give the last decision: one that ends the turn, or one that waits."""
        for stage in STAGES:
            done = self.decided.get(stage)
            if done is None or done.outcome in OPEN:
                if self.deadline is not None and time.monotonic() > self.deadline:
                    raise OverBudget(f"{self.id}: the time is used up before the stage {stage}")
                done = getattr(self, f"_{stage}")()
            if done.outcome in LAST or done.outcome == "waiting":
                return done
        return self.decided[STAGES[-1]]

    def _collect(self) -> Decision:
        """What production says, and which step needs repair."""
        settings = self.config.loop
        found = production(self.store, self.agent, since=self._since(), wrong=self.config.serve.canary.wrong_labels)
        evidence: dict[str, Any] = {"production": found.document(), "since": self._since()}
        if found.judged < settings.min_judged:
            why = f"{found.judged} of the {settings.min_judged} judged conversations that it takes are there"
            return self._decide("collect", "waiting", why, evidence)
        worst = worst_step(found, settings.goal, settings.min_judged)
        if worst is None:
            why = f"no step is shown to be right less than {settings.goal:.0%} of the time"
            return self._decide("collect", "nothing to do", why, evidence)
        why = f"{worst.step} is right in {worst.estimate:.0%} of {worst.judged} judged conversations ({shown(worst)})"
        return self._decide("collect", "enough", why, {**evidence, "step": worst.step})

    def _draft(self) -> Decision:
        """The worst conversations, as scenarios that a person may confirm."""
        settings = self.config.loop
        talks = self.store.conversations(since=self._since(), agent=self.agent)
        chosen = judged_bad(self.store, talks)[: settings.max_drafts]
        suite = next((it.suite.folder for it in self._stage().scenarios() if it.suite.world is not None), None)
        drafts = write_drafts(self.store, chosen, Path(settings.drafts), suite) if chosen else []
        files = [str(it.file) for it in drafts if it.file is not None]
        why = f"{len(files)} of the worst conversations are scenario drafts in {settings.drafts}; confirm what is right"
        return self._decide(
            "draft", "drafted", why, {"files": files, "left_out": [it.why for it in drafts if not it.file]}
        )

    def _play(self) -> Decision:
        """The project's scenarios, for failures that can be learned from."""
        settings, stage = self.config.loop, self._stage()
        begun = self.decided.get("play")
        if begun is not None:
            run = stage.go_on(begun.evidence["run"])
        else:
            scenarios = stage.scenarios()
            told = stage.settings(
                self.agent,
                agent_settings(self.agent, self.config),
                scenarios,
                detours=settings.detours,
                trials=settings.trials,
                seed=int.from_bytes(self.id.encode()[-4:], "big"),
            )
            run = stage.play(told, self._played)
        return self._decide("play", "played", f"{run.planned} trials of run {run.id}", {"run": run.id})

    def _played(self, run: Run) -> None:
        self._note("play", "begun", f"run {run.id}", {"run": run.id})

    def _tune(self) -> Decision:
        """Train for the failing step, and prove it."""
        begun = self.decided.get("tune")
        if begun is not None:
            job = self.store.job(begun.evidence["job"])
            settings = job_settings(dict(job.settings))
        else:
            told = {
                "run": self.decided["play"].evidence["run"],
                "step": self.decided["collect"].evidence["step"],
                "rewards": str(rewards_folder()),
                "adapters": str(Path(self.config.adapters).absolute()),
                **self.config.loop.tune,
            }
            settings = job_settings(told)
            job = new_job(self.store, str(settings.step), settings)
            self._note("tune", "begun", f"job {job.id}", {"job": job.id})
        work = Work(
            job=job,
            settings=settings,
            store=self.store,
            scenarios=list(self._stage().scenarios()),
            config=self.config,
            tell=self.tell,
        )
        ended = work.do()
        evidence = {"job": job.id, "adapter": ended.adapter, "certificate": _short(ended.document)}
        outcome = "certified" if ended.verdict is Promotion.PROMOTE else "refused"
        return self._decide("tune", outcome, str(ended.document["sentence"]), evidence)

    def _approve(self) -> Decision:
        """A person's word, where the configuration demands it."""
        adapter = self.decided["tune"].evidence["adapter"]
        if not self.config.loop.approve:
            return self._decide("approve", "not asked", "the configuration demands no approval", {})
        return self._decide(
            "approve", "waiting", f"agentkit loop approve lets {adapter} meet users", {"adapter": adapter}
        )

    def _canary(self) -> Decision:
        """The adapter beside what is live, until it is clean, thrown out, or too late."""
        target = Target(TargetKind.ADAPTER, self.decided["tune"].evidence["adapter"])
        begun = self.decided.get("canary")
        if begun is None:
            revision = set_canary(
                self.store,
                self.agent,
                ANY,
                target,
                self.config.loop.share,
                by=BY,
                why=f"{self.id}: {self.decided['tune'].why}",
                evidence={"turn": self.id, "certificate": self.decided["tune"].evidence["certificate"]},
            )
            since = {"revision": revision.number, "since": revision.created_at, "adapter": target.name}
            begun = self._note("canary", "begun", f"{self.config.loop.share:.0%} of conversations", since)
        return self._watched(target, begun)

    def _watched(self, target: Target, begun: Decision) -> Decision:
        end = datetime.fromisoformat(begun.at) + timedelta(hours=self.config.loop.canary_hours)
        while True:
            current = newest(self.store)
            judgement = look(self.store, current, self.agent, ANY, self.config.serve.canary)
            if judgement is None:
                why = f"revision {current.number} has no canary any more: {current.why}"
                return self._decide("canary", "thrown out", why, {**begun.evidence, "revision": current.number})
            evidence = {**begun.evidence, "judgement": judgement.document()}
            if judgement.verdict is CanaryVerdict.CLEAN:
                return self._decide("canary", "clean", judgement.sentence, evidence)
            if self.clock() > end:
                why = f"not clean after {self.config.loop.canary_hours:g} hours: {judgement.sentence}"
                end_canary(self.store, self.agent, ANY, by=BY, why=why, target=target)
                return self._decide("canary", "thrown out", why, evidence)
            if self.deadline is not None and time.monotonic() > self.deadline:
                raise OverBudget(f"{self.id}: the time is used up while the canary runs; {judgement.sentence}")
            time.sleep(self.looks_every)

    def _promote(self) -> Decision:
        """What was a canary answers everybody."""
        adapter = AdapterName(self.decided["tune"].evidence["adapter"])
        if broken := breaches(self.store, self.agent, self.decided["canary"].evidence["since"], self.config):
            return self._decide("promote", "waiting", f"not while objectives are missed: {'; '.join(broken)}", {})
        try:
            revision = promote(
                self.store,
                self.agent,
                ANY,
                by=BY,
                why=f"{self.id}: certified, and clean as a canary",
                evidence={"turn": self.id},
                settings=self.config.serve.canary,
            )
        except Refused as reason:
            return self._decide("promote", "waiting", str(reason), {"adapter": adapter})
        why = f"{adapter} answers {self.agent} from revision {revision.number} on"
        return self._decide("promote", "promoted", why, {"adapter": adapter, "revision": revision.number})

    def _since(self) -> str | None:
        """From when on traffic counts: since the last turn ended."""
        ends = [it.at for it in self.store.decisions() if it.outcome in LAST and it.turn != self.id]
        return ends[-1] if ends else None

    def _stage(self) -> Stage:
        return Stage(self.store, self.config, self.config.loop.scenarios or (self.config.scenarios,), self.tell)

    def _note(self, stage: str, outcome: str, why: str, evidence: Mapping[str, Any]) -> Decision:
        it = Decision(self.id, stage, stamp(self.clock()), outcome, why, evidence)
        self.store.add_decision(it)
        self.decided[stage] = it
        return it

    def _decide(self, stage: str, outcome: str, why: str, evidence: Mapping[str, Any]) -> Decision:
        """Record what a stage came to. To wait as before is no news."""
        before = self.decided.get(stage)
        if before is not None and (before.outcome, before.why) == (outcome, why):
            return before
        self.tell(f"{stage}: {outcome}: {why}")
        return self._note(stage, outcome, why, evidence)


def approve(
    store: Store, *, by: str, agreed: bool, why: str = "", clock: Callable[[], datetime] | None = None
) -> Decision:
    """A person's word on the turn that waits for it.

    Raises:
        UsageError: no turn waits for approval.
    """
    known = store.decisions()
    last = known[-1] if known else None
    if last is None or (last.stage, last.outcome) != ("approve", "waiting"):
        raise UsageError("no turn of the loop waits for approval (agentkit loop status)")
    now = (clock or (lambda: datetime.now(UTC)))()
    outcome = "approved" if agreed else "declined"
    it = Decision(last.turn, "approve", stamp(now), outcome, why or f"{outcome} by {by}", {**last.evidence, "by": by})
    store.add_decision(it)
    return it


def chosen_agent(config: Config) -> str:
    """The agent of the loop. Raises UsageError where none is named and the project has several, or one is unknown."""
    names = [name for name, it in config.agents.items() if isinstance(it, ChatAgent)]
    name = config.loop.agent
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        raise UsageError(f"[tool.agentkit.loop] agent: is missing; expected one of {', '.join(names) or 'the agents'}")
    if name not in names:
        raise UsageError(f"[tool.agentkit.loop] agent: no chat agent is called {name!r}{near_match(name, names)}")
    return name


def worst_step(found: Production, goal: float, min_judged: int) -> StepRate | None:
    """The step whose repair would lift the product most, of those that are shown to fall short of the goal."""
    short = [it for it in found.steps if it.judged >= min_judged and it.high < goal]
    return min(short, key=lambda it: it.estimate, default=None)


def shown(it: StepRate) -> str:
    return f"{it.low:.0%} to {it.high:.0%}"


def breaches(store: Store, agent: str, since: str, config: Config) -> list[str]:
    """The router's objectives that the agent's traffic since then misses, in words."""
    settings = config.serve.router
    seen = [it for it in store.exchanges(agent=agent, since=since) if not 400 <= it.status < 500]
    if not seen:
        return ["nothing was answered since the canary began"]
    up = sum(it.status < 400 and it.error is None for it in seen) / len(seen)
    quick = sum((it.first_token or it.latency) <= settings.latency for it in seen) / len(seen)
    found = []
    if up < settings.availability:
        found.append(f"availability {up:.2%}, expected {settings.availability:.2%}")
    if quick < settings.latency_share:
        found.append(f"{quick:.1%} within {settings.latency:g} s, expected {settings.latency_share:.1%}")
    return found


def _short(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: document[key] for key in ("verdict", "sentence", "target", "hashes") if key in document}
