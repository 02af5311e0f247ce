"""Whose gain it is: the warm start's, the reinforcement's, and how far it depends on the training's seed."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.errors import UsageError
from agentkit.gate import Difference, Matched, Recorded
from agentkit.tune.paired import compare, instance_changes, pairs_of, step_members
from agentkit.tune.seeds import OfSeed, OverSeeds, Trained, aligned, in_words, over_seeds


def credit_of(
    before: Recorded, warm: Recorded | None, after: Recorded, steps: Sequence[str], *, seed: int, level: float
) -> dict[str, Difference]:
    """What `warm_start` and `reinforcement` each did to the target step; empty without a run of the warm start, and
    without `reinforcement` where what it left is the warm start as it was."""
    if warm is None:
        return {}
    if warm.run == after.run:
        return {"warm_start": _gain(pairs_of(before, warm), steps, seed, level)}
    ways = {"warm_start": (before, warm), "reinforcement": (warm, after)}
    return {name: _gain(pairs_of(*sides), steps, seed, level) for name, sides in ways.items()}


def seeds_of(
    before: Recorded, seeds: Sequence[Trained], warm: Recorded | None, steps: Sequence[str], *, seed: int, level: float
) -> tuple[tuple[OfSeed, ...], dict[str, OverSeeds], tuple[str, ...]]:
    """Each training seed by itself, their means, and what is to be said of them.

    A seed without a warm start of its own counts from `warm`. Raises UsageError where a seed stands twice, or where the
    seeds did not play the same instances.
    """
    if not seeds:
        return (), {}, ()
    names = [str(it.seed) for it in seeds]
    if len(set(names)) < len(names):
        raise UsageError(f"training seeds: found {', '.join(names)}, expected each of them once")
    starts = [it.warm or warm for it in seeds]
    gains = [pairs_of(before, it.after) for it in seeds]
    own = [
        None if start is None or start.run == it.after.run else pairs_of(start, it.after)
        for it, start in zip(seeds, starts, strict=True)
    ]
    each = tuple(
        OfSeed(it.seed, _gain(gain, steps, seed, level), None if mine is None else _gain(mine, steps, seed, level))
        for it, gain, mine in zip(seeds, gains, own, strict=True)
    )
    over = {"gain": _over([(gain, steps) for gain in gains], names, level)}
    if all(it is not None for it in own):
        over["reinforcement"] = _over([(it, steps) for it in own if it is not None], names, level)
    return each, over, (in_words(each, over["gain"], over.get("reinforcement")),)


def _gain(cells: Sequence[Matched], steps: Sequence[str], seed: int, level: float) -> Difference:
    return compare("the step", step_members(cells, steps), seed=seed, level=level).difference


def _over(sides: Sequence[tuple[Sequence[Matched], Sequence[str]]], names: Sequence[str], level: float) -> OverSeeds:
    return over_seeds(aligned([instance_changes(step_members(*side)) for side in sides], names), level)
