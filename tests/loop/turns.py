"""What turns of the loop are tried with: a project, its traffic, and what a training came to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentkit.config import ChatAgent, Config
from agentkit.config.serving import LoopSettings
from agentkit.loop.turn import Turn
from agentkit.records import Arm, Target, TargetKind
from agentkit.serve.routes import newest
from agentkit.store import Store, stamp
from agentkit.tune.certificate import Promotion
from tests.loop.test_production import talk
from tests.serve.canary.traffic import add_labels, exchange, thumb

BASE, ADAPTER = Target(TargetKind.BASE), Target(TargetKind.ADAPTER, "refund-v1-3fa9")
AGENT = ChatAgent(kind="chat", engine="embedded")


@dataclass
class Ended:
    verdict: Promotion
    document: dict[str, Any]
    adapter: str | None


def config(**changes: Any) -> Config:
    scenarios = str(Path(__file__).parents[2] / "scenarios" / "point_of_sale" / "refund.yaml")
    return Config(agents={"till": AGENT}, loop=LoopSettings(scenarios=(scenarios,), max_drafts=1, **changes))


def traffic(store: Store, right: int, of: int = 40) -> None:
    for number in range(of):
        talk(store, f"c{number}", BASE, find_sale=True, refund=number < right)


def judged_traffic(store: Store, good: dict[Arm, float]) -> None:
    """Conversations of both arms under the newest revision."""
    revision = newest(store)
    made = [
        exchange(
            f"talk-{arm}-{number}",
            step="",
            revision=revision.number,
            arm=arm,
            target=ADAPTER if arm is Arm.CANARY else BASE,
            at=stamp(datetime.now(UTC)),
        )
        for number in range(150)
        for arm in Arm
    ]
    store.add_exchanges(made)
    add_labels(store, [thumb(it, number // 2 < 150 * good[it.arm]) for number, it in enumerate(made)])


def outcomes(store: Store, turn: Turn) -> list[tuple[str, str]]:
    return [(it.stage, it.outcome) for it in store.decisions(turn.id)]
