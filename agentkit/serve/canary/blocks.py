"""From outcomes in their order to blocks of so many of the live arm and so many of the canary."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agentkit.gate.streams import Blocks
from agentkit.records import Arm

_LARGEST = 19
"""Outcomes of one side in a block. More beside a single one of the other say hardly more."""
_ROOM = 0.9
"""Of what the share offers of the more frequent side, what a block takes of it. So the rarer side seldom waits."""
_WAITING = 3
"""Blocks' worth of the more frequent side that wait, the newest: a block is of one time."""
_WAITING_RARE = 64
"""Outcomes of the rarer side that wait."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One conversation's, good or bad; it never changes once it is there."""

    revision: int
    arm: Arm
    good: bool


def sizes(share: float) -> tuple[int, int]:
    """Outcomes of the live arm and of the canary in a block, one side always being one: (8, 1) for a share of 10 %."""
    small = min(share, 1 - share)
    many = min(_LARGEST, max(1, int(_ROOM * (1 - small) / small + 1e-9))) if small > 0 else _LARGEST
    return (many, 1) if share <= 0.5 else (1, many)


def blocks_of(outcomes: Iterable[Outcome], shares: Mapping[int, float]) -> Blocks:
    """Blocks within each revision, closed in the order in which they are full.

    Which outcomes make a block depends on arms, revisions and order alone, never on how they turned out; and what comes
    later changes no block that was closed. `shares`: revision → the canary's share.
    """
    waiting: dict[int, tuple[deque[bool], deque[bool]]] = {}
    rows: list[tuple[int, int, int, int]] = []
    for it in outcomes:
        live, canary = sizes(shares[it.revision])
        if it.revision not in waiting:
            waiting[it.revision] = (deque(maxlen=_room(live, canary)), deque(maxlen=_room(canary, live)))
        queues = waiting[it.revision]
        queues[it.arm is Arm.CANARY].append(it.good)
        if len(queues[0]) >= live and len(queues[1]) >= canary:
            passed = [sum(queue.popleft() for _ in range(n)) for queue, n in zip(queues, (live, canary), strict=True)]
            rows.append((passed[0], live, passed[1], canary))
    return Blocks.of(rows)


def _room(mine: int, other: int) -> int:
    return _WAITING * mine if mine > other else _WAITING_RARE
