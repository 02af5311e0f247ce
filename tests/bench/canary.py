"""How often the judge of a canary is wrong, and how soon it is right: simulated canaries, nothing is played.

    python tests/bench/canary.py                       # some minutes on two cores
    python tests/bench/canary.py --canaries 200 --check  # exit status 1 where a limit is exceeded

Prints the tables of `agentkit/serve/canary/README.md`. Conversations come one after the other and go to the canary by
chance. Users judge some of them with a thumb, sooner where the answer was bad and later where it was good; one thumb in
ten is wrong. The judge sees judgements in the order in which they come in, and looks after each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from agentkit.config.serving import CanarySettings
from agentkit.gate.evidence import no_worse_path
from agentkit.gate.streams import Blocks, drop_path
from agentkit.measure import clopper_pearson
from agentkit.records import Arm
from agentkit.serve.canary.blocks import Outcome, blocks_of, sizes

CANARIES = 1_000
CONVERSATIONS = 6_000
SETTINGS = CanarySettings()
BY_JUDGEMENTS = 0.6 * SETTINGS.alpha
"""Half of it for each criterion where the step that an adapter repairs is judged, too."""
CLEAN = np.log(1 / SETTINGS.alpha)
MARGIN = SETTINGS.margin * (1 - 2 * SETTINGS.wrong_labels)
BOUND = 0.05
"""The most that the upper 95 % bound of a rate of false alarms by judgements may be; they have 0.03."""


@dataclass(frozen=True)
class World:
    """How conversations turn out, and who says so."""

    share: float
    drop: float = 0.0
    """Of the share of good answers, the canary's below the live arm's."""
    good: float = 0.9
    wrong: float = 0.1
    """Thumbs the wrong way round."""
    judged: tuple[float, float] = (0.5, 0.3)
    """Share of bad and of good answers that get a thumb."""
    delay: tuple[float, float] = (20.0, 400.0)
    """Conversations that pass, on average, before a bad and before a good answer gets its thumb."""
    drift: float = 0.0
    """What both arms lose in the course of the whole, such as a new kind of customer."""
    others: float = 1.0
    """Share of conversations in which all other steps succeed; the whole is good where the step is, too."""
    at_the_step: bool = False
    """Whether users who judge the whole also judge the step by itself."""

    def judgements(
        self, rng: np.random.Generator, conversations: int
    ) -> tuple[list[Outcome], list[Outcome], list[int]]:
        """In the order in which they come in: of the whole, and of the step; and the conversation that was going on."""
        canary = rng.random(conversations) < self.share
        rate = self.good - self.drift * np.arange(conversations) / conversations - self.drop * canary
        step = rng.random(conversations) < rate
        good = step & (rng.random(conversations) < self.others)
        judged = rng.random(conversations) < np.where(good, self.judged[1], self.judged[0])
        said = good ^ (rng.random(conversations) < self.wrong)
        said_of_step = step ^ (rng.random(conversations) < self.wrong)
        at = np.arange(conversations) + rng.exponential(np.where(good, self.delay[1], self.delay[0]))
        order = np.argsort(at)
        order = order[judged[order] & (at[order] < conversations)]
        whole, own = (
            [Outcome(1, Arm.CANARY if canary[k] else Arm.LIVE, bool(values[k])) for k in order]
            for values in (said, said_of_step)
        )
        return whole, own, [int(at[k]) for k in order]


class Ended(NamedTuple):
    """When the judge said what; None: never."""

    alarm: int | None
    """Conversations until then."""
    alarm_judged: int | None
    """Judged conversations of the canary until then."""
    clean: int | None


def simulate(world: World, conversations: int, seed: int) -> Ended:
    """One canary, looked at after every judgement."""
    outcomes, of_step, at = world.judgements(np.random.default_rng(seed), conversations)
    blocks = blocks_of(outcomes, {1: world.share})
    if len(blocks) == 0:
        return Ended(None, None, None)
    closed = _closed(outcomes, world.share)
    if world.at_the_step:  # both are judged at once, so their blocks are closed at the same time
        alarm = _worse(blocks, BY_JUDGEMENTS / 2) | _worse(blocks_of(of_step, {1: world.share}), BY_JUDGEMENTS / 2)
    else:
        alarm = _worse(blocks, BY_JUDGEMENTS)
    alarms = np.flatnonzero(alarm)
    arms = np.array([it.arm is Arm.CANARY for it in outcomes])
    judged = np.stack([np.cumsum(arms), np.cumsum(~arms)])
    enough = judged[:, closed].min(axis=0) >= SETTINGS.min_graded
    clean = np.flatnonzero(enough & (np.maximum.accumulate(no_worse_path(blocks.differences, MARGIN)) >= CLEAN))
    alarm = closed[alarms[0]] if len(alarms) else None
    first = closed[clean[0]] if len(clean) and (alarm is None or closed[clean[0]] < alarm) else None
    return Ended(
        None if alarm is None else at[alarm],
        None if alarm is None else int(judged[0, alarm]),
        None if first is None else at[first],
    )


def _worse(blocks: Blocks, alpha: float) -> NDArray[np.bool_]:
    """After each block, whether there is an alarm."""
    estimate = np.cumsum(blocks.differences) / np.arange(1, len(blocks) + 1)
    won = np.maximum.accumulate(drop_path(blocks)) >= np.log(1 / alpha)
    return np.asarray(won & (estimate < -SETTINGS.min_drop))


def _closed(outcomes: Sequence[Outcome], share: float) -> list[int]:
    """The place of the judgement that closed each block."""
    places, so_far = [], 0
    waiting = {Arm.LIVE: 0, Arm.CANARY: 0}
    needed = dict(zip((Arm.LIVE, Arm.CANARY), sizes(share), strict=True))
    room = {arm: 3 * n if n > 1 else 64 for arm, n in needed.items()}
    for place, it in enumerate(outcomes):
        waiting[it.arm] = min(room[it.arm], waiting[it.arm] + 1)
        if all(waiting[arm] >= n for arm, n in needed.items()):
            waiting = {arm: waiting[arm] - n for arm, n in needed.items()}
            places.append(place)
            so_far += 1
    return places


def many(world: World, canaries: int, conversations: int, pool: ProcessPoolExecutor | None = None) -> list[Ended]:
    work = partial(simulate, world, conversations)
    return list(pool.map(work, range(canaries), chunksize=20)) if pool else [work(seed) for seed in range(canaries)]


def _share(found: Sequence[Ended], name: str) -> tuple[float, float]:
    """Rate, and the upper end of its exact 95 % interval."""
    count = sum(getattr(it, name) is not None for it in found)
    return count / len(found), float(clopper_pearson(count, len(found))[1])


def _middle(found: Sequence[Ended], name: str) -> str:
    known = [getattr(it, name) for it in found if getattr(it, name) is not None]
    return f"{np.median(known):.0f} ({np.quantile(known, 0.9):.0f})" if known else "–"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--canaries", type=int, default=CANARIES)
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS)
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    over = []
    with ProcessPoolExecutor() as pool:
        print(
            f"False alarms of judgements: {chosen.canaries} canaries that are no worse, "
            f"{chosen.conversations} conversations each"
        )
        print("  share   good  drift  delay       rate  upper 95 %")
        for share in (0.1, 0.3, 0.5, 0.9):
            for good, drift, delay in ((0.9, 0, True), (0.6, 0, True), (0.9, 0.4, True), (0.6, 0, False)):
                world = World(share, good=good, drift=drift, **({} if delay else {"delay": (1.0, 1.0)}))
                rate, high = _share(many(world, chosen.canaries, chosen.conversations, pool), "alarm")
                over += [world] * (high > BOUND)
                print(
                    f"  {share:>5.0%}  {good:>5.0%}  {drift:>5.0%}  {'late' if delay else 'none':<5}  "
                    f"{rate:>8.1%}  {high:>8.1%}"
                )
        print("Thrown out: median (90 % quantile) of conversations, and of the canary's judged ones, until the alarm")
        print("  share   drop  thrown out  conversations     judged of the canary  called clean before")
        for share in (0.1, 0.3, 0.5):
            for drop in (0.2, 0.25, 0.3):
                found = many(World(share, drop), chosen.canaries, chosen.conversations, pool)
                thrown, clean = _share(found, "alarm")[0], _share(found, "clean")[0]
                print(
                    f"  {share:>5.0%}  {drop:>5.0%}  {thrown:>10.1%}  {_middle(found, 'alarm'):<16}  "
                    f"{_middle(found, 'alarm_judged'):<20}  {clean:.1%}"
                )
        print(
            "The same at a share of 50 %, where other steps succeed in 60 %: users judge the whole, or the step as well"
        )
        print("  judged    drop  thrown out  conversations")
        for of_step in (False, True):
            for drop in (0.0, 0.2, 0.25, 0.3):
                world = World(0.5, drop, others=0.6, at_the_step=of_step)
                found = many(world, chosen.canaries, chosen.conversations, pool)
                rate, high = _share(found, "alarm")
                over += [world] * (drop == 0 and high > BOUND)
                what = "step" if of_step else "whole"
                print(f"  {what:<6}  {drop:>6.0%}  {rate:>10.1%}  {_middle(found, 'alarm')}")
        print("Called clean: the same of canaries that are as good, better, or worse by the margin")
        print("  share  better  called clean  conversations")
        for share in (0.1, 0.3, 0.5):
            for better in (0.0, 0.2, -0.1):
                world = World(share, -better, good=0.7 if better > 0 else 0.9)
                found = many(world, chosen.canaries, chosen.conversations, pool)
                rate, high = _share(found, "clean")
                over += [world] * (better < 0 and rate > SETTINGS.alpha + 0.02)
                print(f"  {share:>5.0%}  {better:>6.0%}  {rate:>12.1%}  {_middle(found, 'clean')}")
    for world in over:
        print(f"over the limit: {world}")
    return int(bool(over) and chosen.check)


if __name__ == "__main__":
    sys.exit(main())
