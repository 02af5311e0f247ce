"""A gate in rounds: which trials come next, and whether what was played so far decides it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click
import numpy as np

from agentkit.gate import GateSettings, Next, Quarantine, Recorded, Round, Rule, judge_round, match
from agentkit.gate.adaptive import next_cells, variances
from agentkit.gate.metric import success
from agentkit.gate.project.judges import Advice, blocking_settings, outside, with_advice, without
from agentkit.gate.project.sides import Side, read_run
from agentkit.gate.settings import select
from agentkit.measure.graded import Floats
from agentkit.measure.suite import scenario_weights
from agentkit.play.plan import Planned
from agentkit.play.session import Session
from agentkit.records import Run
from agentkit.store import Store

_LEAST_BATCH = 16

Judging = Callable[[Side], Advice]


@dataclass(slots=True)
class Gate:
    """A gate in rounds: what it judges by, and where it stands."""

    base: Recorded
    settings: GateSettings
    rule: Rule
    batch: int | None
    """Trials a round; None: every scenario and variant once, and 16 at least."""
    judging: Judging
    """What of a candidate is a judge's advice."""
    quarantined: Sequence[Quarantine] = ()
    notes: tuple[str, ...] = ()
    """What is to be said beside the verdict."""
    last: Round | None = None
    rounds: int = 0
    advice: Advice = field(default_factory=Advice)

    def check(self) -> None:
        """Refuse before scenarios are loaded what could not be judged afterwards. Raises UsageError."""
        self.rule.check(self.settings)
        cells = match(self.base, self.base)
        for selector in self.settings.steps:
            select(cells, selector.removeprefix("each:"))

    def judge(self, store: Store, run: Run, *, finished: bool) -> Round:
        """Judge all that was played so far."""
        side = read_run(store, run, unfinished=True)
        self.advice = found = self.judging(side)
        candidate, aside = side.recorded, outside(self.quarantined, found)
        blocking = blocking_settings(self.base, candidate, self.settings, found, self.quarantined)
        kept = without(self.base, found.steps), without(candidate, found.steps)
        judged = judge_round(*kept, blocking, self.rule, finished=finished, quarantined=aside)
        if judged.verdict is not None:
            whole = with_advice(judged.verdict, self.base, candidate, self.settings, found, self.quarantined)
            judged = replace(judged, verdict=replace(whole, notes=(*self.notes, *whole.notes)))
        self.last = judged
        return judged

    def playing(self, session: Session) -> Iterator[Sequence[Planned]]:
        """The rounds, until the gate is decided or nothing is left."""
        store, run = session.store, session.run
        size = self.batch or max(_LEAST_BATCH, len({(it.key.scenario, it.key.variant) for it in session.trials}))
        while True:
            played = store.keys(run.id)
            left = [it for it in session.trials if it.key not in played]
            if played:
                judged = self.judge(store, run, finished=not left)
                self.rounds += 1
                click.echo(_standing(self.rounds, len(played), len(session.trials), judged), err=True)
                if judged.next is Next.STOP:
                    return
            yield self._next(store, run, left, size)

    def _next(self, store: Store, run: Run, left: Sequence[Planned], size: int) -> Sequence[Planned]:
        if not self.rule.adaptive:
            return left[:size]
        return tuple(self._adapted(store, run, left, size))

    def _adapted(self, store: Store, run: Run, left: Sequence[Planned], size: int) -> Iterator[Planned]:
        """Trials where the verdict is most open, placed behind all that was played, so that their order is that of
        playing."""
        waiting: dict[tuple[str, str], list[Planned]] = {}
        for it in left:
            waiting.setdefault((it.key.scenario, it.key.variant), []).append(it)
        rows = [row.index for row in store.expenses(run.id)]
        place = max([run.planned - 1, *rows]) + 1
        weights, played, spread = self._standings(read_run(store, run, unfinished=True).recorded, list(waiting))
        cells = list(waiting)
        for _ in range(min(size, len(left))):
            open_ = [c for c, cell in enumerate(cells) if waiting[cell]]
            chosen = open_[int(next_cells(weights[open_], played[open_], spread[open_], 1)[0])]
            played[chosen] += 1
            yield replace(waiting[cells[chosen]].pop(0), index=place)
            place += 1

    def _standings(self, candidate: Recorded, cells: Sequence[tuple[str, str]]) -> tuple[Floats, Floats, Floats]:
        """Weights, trials and variances of scenarios and variants, those not played yet included."""
        matched = match(self.base, candidate)
        metric = success(matched)
        known = {
            (it.scenario, it.variant): (len(it.candidate.sums), float(v))
            for it, v in zip(matched, variances(metric) if matched else (), strict=True)
        }
        every = [(cell.scenario, cell.variant) for cell in self.base.cells]
        weight = dict(zip(every, scenario_weights([scenario for scenario, _ in every]), strict=True))
        return (
            np.array([weight[cell] for cell in cells]),
            np.array([known.get(cell, (0, 1.0))[0] for cell in cells], dtype=float),
            np.array([known.get(cell, (0, 1.0))[1] for cell in cells]),
        )


def _standing(number: int, played: int, planned: int, judged: Round) -> str:
    """One line after a round."""
    evidence = ", ".join(
        f"{it.name} e = {it.e_value:,.1f} of {it.needed:,.0f}" for it in judged.evidence if it.e_value is not None
    )
    return f"round {number}: {played} of {planned} trials; {evidence or 'no criterion has a bet, so all is played'}"


def told(gate: Gate, run: Run, played: int, planned: int) -> list[str]:
    """When it stopped, what that saved, and what was spent, in words."""
    assert gate.last is not None
    rounds = f"round {gate.rounds}"
    if played >= planned:
        first = f"all {planned} planned trials were played, in {gate.rounds} rounds"
    else:
        why = "the evidence sufficed" if gate.last.early else "a hard limit was reached"
        saved = f"{planned - played} trials ({100 * (planned - played) / planned:.0f} % of the plan) were not played"
        first = f"stopped after {played} of {planned} trials, in {rounds}, as {why}: {saved}"
    return [first, f"run {run.id}: {_spent(run.spent)}"]


def _spent(spent: Mapping[str, Any]) -> str:
    if not spent.get("calls"):
        return "no model calls"
    tokens = spent["input_tokens"] + spent["output_tokens"]
    cost = "cost unknown" if spent["unpriced"] else f"${spent['cost']:.4f}"
    return f"{spent['calls']:,} model calls, {tokens:,} tokens, {cost}"
