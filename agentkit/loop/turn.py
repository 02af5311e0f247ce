"""One turn of the wheel: stages in order, each of which decides once, says why, and is passed over from then on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agentkit.config import Config
from agentkit.errors import UsageError
from agentkit.loop.choose import chosen_agent
from agentkit.records import Decision, TurnId
from agentkit.store import Store, stamp

Stages = Mapping[str, Callable[["Turn"], Decision]]
"""Name → what it does, in order."""
OPEN = frozenset({"waiting", "begun"})
"""Outcomes after which a stage is asked again."""
LAST = frozenset({"nothing to do", "refused", "promoted", "thrown out", "declined", "abandoned"})
"""Outcomes that end a turn."""


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
    check_traffic: Callable[[], None] = lambda: None
    """Asked at each look at a canary, by whoever makes its traffic: raises where there will be no more."""
    decided: dict[str, Decision] = field(default_factory=dict)

    @classmethod
    def open(cls, store: Store, config: Config, **rest: Any) -> Turn:
        """The agent's turn that has not ended, or a new one.

        Raises:
            UsageError: it is not clear whose traffic is looked at.
        """
        agent = chosen_agent(config)
        last = newest_of(store, agent)
        if last is None or last.outcome in LAST:
            name = TurnId(f"turn-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")
        else:
            name = last.turn
        decided = {it.stage: it for it in store.decisions(name)}
        return cls(name, store, config, agent, decided=decided, **rest)

    def go(self, stages: Stages) -> Decision:
        """Do what is left, and give the last decision: one that ends the turn, or one that waits.

        Raises:
            OverBudget: the time was used up.
        """
        done: Decision | None = None
        for name, stage in stages.items():
            done = self.decided.get(name)
            if done is None or done.outcome in OPEN:
                self.check_time(f"before the stage {name}")
                done = stage(self)
            if done.outcome in LAST or done.outcome == "waiting":
                break
        assert done is not None, "a turn has stages"
        return done

    def check_time(self, where: str) -> None:
        """Raises OverBudget once the time is used up."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OverBudget(f"{self.id}: the time is used up {where}")

    def since(self) -> str | None:
        """From when on traffic counts: since the agent's last turn ended."""
        ends = self.store.decisions(agent=self.agent, outcomes=LAST, limit=2)  # this turn's own may be among them
        return next((it.at for it in reversed(ends) if it.turn != self.id), None)

    def note(self, stage: str, outcome: str, why: str, evidence: Mapping[str, Any]) -> Decision:
        it = Decision(self.id, self.agent, stage, stamp(self.clock()), outcome, why, evidence)
        self.store.add_decision(it)
        self.decided[stage] = it
        return it

    def decide(self, stage: str, outcome: str, why: str, evidence: Mapping[str, Any]) -> Decision:
        """Record what a stage came to. To wait as before is no news."""
        before = self.decided.get(stage)
        if before is not None and (before.outcome, before.why) == (outcome, why):
            return before
        self.tell(f"{stage}: {outcome}: {why}")
        return self.note(stage, outcome, why, evidence)


def newest_of(store: Store, agent: str) -> Decision | None:
    """What the loop decided last of an agent; None where it decided nothing yet."""
    return next(iter(store.decisions(agent=agent, limit=1)), None)


def approve(store: Store, agent: str, *, by: str, agreed: bool, why: str = "") -> Decision:
    """A person's word on the agent's turn that waits for it.

    Raises:
        UsageError: no turn of the agent waits for approval.
    """
    last = newest_of(store, agent)
    if last is None or (last.stage, last.outcome) != ("approve", "waiting"):
        raise UsageError(f"no turn of the loop waits for approval of {agent} (agentkit loop status)")
    outcome = "approved" if agreed else "declined"
    why, evidence = why or f"{outcome} by {by}", {**last.evidence, "by": by}
    it = Decision(last.turn, agent, "approve", stamp(datetime.now(UTC)), outcome, why, evidence)
    store.add_decision(it)
    return it
