"""Plays a scenario with those who must fail and with one who must pass, and tells where it is otherwise."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agentkit.audit.finding import Finding, Kind
from agentkit.audit.mistakes import Mistake, Mistaken, Slip, mistakes
from agentkit.audit.players import ignorant_players
from agentkit.config import Limits
from agentkit.play.agent import Agent
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.conversation import build_conversation
from agentkit.play.plan import Planned, instance_seed
from agentkit.play.trial import Setting, play_trial
from agentkit.records import RunId, Status, Stop, Trial, TrialKey, Verdict
from agentkit.scenario import Loaded, NoPlaceError
from agentkit.tracing import Tracing

_JUDGED = {Status.PASSED, Status.FAILED}


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found."""

    variants: int
    """Scenarios and variants that were audited."""
    unplayed: tuple[tuple[str, str, str], ...]
    """(scenario id, variant, why) of those that were not: no instance that was drawn gives their detours a place."""
    trials: int
    """Trials played for it."""
    findings: tuple[Finding, ...]
    unjudged: tuple[str, ...]
    """Steps that only a judge can grade, or that need reasoning: `scenario/variant#step`. Nothing is said of them."""


async def audit(
    cells: Sequence[tuple[Loaded, str]],
    *,
    instances: int = 2,
    seed: int = 0,
    limits: Limits | None = None,
    listener: Callable[[int, int], None] = lambda done, of: None,
) -> Audit:
    """Audit scenarios in their variants, each over `instances` drawn from `seed`.

    `limits` are those of the runs that the scenarios are for; by default, what holds where a project sets none.
    `listener` is told how many variants are done, and of how many.
    """
    conversation = build_conversation()
    tracing = Tracing.off()
    findings: list[Finding] = []
    unjudged: list[str] = []
    unplayed: list[tuple[str, str, str]] = []
    trials = 0
    for done, (loaded, variant) in enumerate(cells):
        listener(done, len(cells))

        def setting(agent: Agent) -> Setting:
            return Setting(RunId("audit"), agent, None, limits or Limits(), seed, tracing, conversation)

        one = _Variant(loaded, variant, setting)
        for number in range(instances):
            await one.play(instance_seed(seed, number, loaded.cycle))
        findings += one.conclude()
        unjudged += one.unjudged
        trials += one.trials
        if not one.trials:
            unplayed.append((loaded.id, variant, one.without_place))
        await asyncio.sleep(0)
    listener(len(cells), len(cells))
    tracing.close()
    return Audit(len(cells) - len(unplayed), tuple(unplayed), trials, tuple(findings), tuple(unjudged))


@dataclass(slots=True)
class _Variant:
    """One scenario in one variant, under audit."""

    loaded: Loaded
    variant: str
    setting: Callable[[Agent], Setting]
    findings: dict[tuple[Kind, str | None], Finding] = field(default_factory=dict)
    statuses: dict[str, set[Status]] = field(default_factory=lambda: defaultdict(set))
    due: set[str] = field(default_factory=set)
    """Ids of the steps that are not void."""
    trials: int = 0
    without_place: str = ""
    """Why the last instance that gives no place gives none."""

    @property
    def unjudged(self) -> list[str]:
        where = f"{self.loaded.id}/{self.variant}"
        return [f"{where}#{step}" for step in sorted(self.due) if not self.statuses[step] & _JUDGED]

    async def play(self, seed: int) -> None:
        try:
            instance = self.loaded.draw(self.variant, seed)
        except NoPlaceError as error:  # in the words of this instance, while another's may give one
            self.without_place = str(error).removeprefix(f"{self.loaded.id}: {self.variant}: ")
            return
        self.due |= {step.id for turn in instance.turns for step in turn.steps}
        golden = await self._trial(ScriptedAgent("golden"), seed)
        self._golden(golden)
        if golden.stop is not Stop.COMPLETED:
            return  # there is no golden play to make mistakes in
        for player in ignorant_players(self.loaded.tools):
            trial = await self._trial(player, seed)
            if trial.verdict is Verdict.SUCCESS:
                self._find(Kind.IGNORANT_SUCCEEDS, None, f"a player that {player.name} succeeds (seed {seed})")
        for mistake in mistakes(instance, self.loaded.tools):
            self._mistaken(mistake, await self._trial(Mistaken(mistake), seed), golden)

    async def _trial(self, agent: Agent, seed: int) -> Trial:
        planned = Planned(0, TrialKey(self.loaded.id, self.variant, seed))
        trial = await play_trial(planned, self.loaded, self.setting(agent))
        self.trials += 1
        for grade in trial.steps:
            self.statuses[grade.step].add(grade.status)
        return trial

    def _golden(self, trial: Trial) -> None:
        seed = trial.key.instance
        for grade in (*trial.steps, *trial.outcome):
            if grade.status is Status.FAILED:
                self._find(Kind.GOLDEN_FAILS, grade.step, f"the golden play fails (seed {seed}): {grade.reason}")
        if trial.verdict is Verdict.INVALID and not any(grade.status is Status.UNGRADED for grade in trial.outcome):
            self._find(Kind.GOLDEN_FAILS, None, f"the golden play is invalid (seed {seed}): {trial.reason}")

    def _mistaken(self, mistake: Mistake, trial: Trial, golden: Trial) -> None:
        if trial.stop is Stop.AGENT_ERROR:
            raise RuntimeError(f"the audit's own player failed, {mistake.name}: {trial.reason}")
        seed = trial.key.instance
        graded = {grade.step: grade for grade in trial.steps}
        if mistake.slip is Slip.TWICE:
            if _passes_whole(trial) and trial.final_state != golden.final_state:
                words = f"calling it twice changes the world and passes everything (seed {seed})"
                self._find(Kind.MISTAKE_PASSES, mistake.step, words)
        elif graded[mistake.step].status is Status.PASSED:
            self._find(Kind.MISTAKE_PASSES, mistake.step, f"a player that {mistake.slip} passes it (seed {seed})")

    def conclude(self) -> list[Finding]:
        """All findings, those about steps over all players included."""
        for step, statuses in self.statuses.items():
            if statuses & _JUDGED:
                if Status.FAILED not in statuses:
                    self._find(Kind.NEVER_FAILS, step, f"all {self.trials} plays pass it, whoever plays")
                elif Status.PASSED not in statuses:
                    self._find(Kind.NEVER_PASSES, step, "nobody passes it, the golden play included")
        return list(self.findings.values())

    def _find(self, kind: Kind, step: str | None, message: str) -> None:
        found = Finding(kind, self.loaded.id, self.variant, step, message)
        self.findings.setdefault((kind, step if step else message), found)


def _passes_whole(trial: Trial) -> bool:
    return trial.verdict is Verdict.SUCCESS and all(grade.status is not Status.FAILED for grade in trial.steps)
