"""Which trials a run plays, in which order, from which seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.records import ForkKind, TrialKey
from agentkit.scenario import Loaded


@dataclass(frozen=True, slots=True)
class ForkPoint:
    """Where a fork leaves a right history."""

    variant: str
    history: str
    """The variant in which the golden agent plays what comes before: `variant` without its tool and model faults."""
    turn: int
    """Index of the turn that the agent is to play, from 0."""
    kind: ForkKind
    serves: tuple[str, ...]
    """The variants for whose steps it counts."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One trial to play."""

    index: int
    """Place in the run's order, from 0."""
    key: TrialKey
    fork: ForkPoint | None = None
    """None where the whole conversation is to be played."""


_SEEDS = 2**48


def instance_seed(seed: int, number: int, cycle: int = 1) -> int:
    """Seed of instance `number` in a run of `seed`, 48 bits.

    The same for every variant and agent: what is played with equal seeds is a true pair. The same for every scenario
    too, but for one whose rows are played in order: its `cycle` is their number, and the seed's remainder by it that of
    `number`.
    """
    digest = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") % (_SEEDS // cycle) * cycle + number % cycle


def trial_seed(key: TrialKey, seed: int) -> int:
    """Seed of everything that is drawn at random within a trial, 31 bits."""
    text = f"{seed}/{key.scenario}/{key.variant}/{key.instance}/{key.repeat}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") >> 1


def plan(
    scenarios: Sequence[Loaded],
    *,
    trials: int,
    repeats: int,
    seed: int,
    variants: Sequence[tuple[str, str]] | None = None,
) -> tuple[Planned, ...]:
    """`trials` instances of every variant, each played `repeats` times.

    The order is instance by instance over all variants, so that a run that is cut short has played all of them
    about equally often. `variants` (scenario id, variant) are by default all that the scenarios define.
    """
    cells = variants if variants is not None else [(it.id, variant) for it in scenarios for variant in it.variants]
    cycles = {it.id: it.cycle for it in scenarios}
    keys = (
        TrialKey(scenario, variant, instance_seed(seed, number, cycles[scenario]), repeat)
        for number in range(trials)
        for repeat in range(repeats)
        for scenario, variant in cells
    )
    return tuple(Planned(index, key) for index, key in enumerate(keys))
