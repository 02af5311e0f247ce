"""Which turns are sampled, and for which variants each counts.

A turn whose moment is the same in several variants is sampled once. Whether it is follows from the instances and from
the golden play alone, so that a run and its resumption plan the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agentkit.play.conversation import build_conversation
from agentkit.play.forks.golden import Histories, History
from agentkit.play.plan import ForkPoint, Planned, instance_seed
from agentkit.records import GOLDEN, ForkKind, ToolSpec, TrialKey
from agentkit.scenario import Instance, Loaded, NoPlaceError
from agentkit.scenario.detours import ModelFault, Occasion, ToolFault, UserDetour, variant_name

_Fault = ToolFault | ModelFault

After = Literal["pooled", "each"]
"""How a golden turn that follows a detour is sampled: once per instance, after one of the detours in turn, for all of
them; or for each detour by itself."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """One turn of one variant."""

    variant: str
    history: str
    index: int
    kind: ForkKind
    golden: int | None
    """Index of the same turn on the golden path."""


async def plan_forks(
    scenarios: Sequence[Loaded],
    *,
    variants: Sequence[tuple[str, str]],
    trials: int,
    repeats: int,
    seed: int,
    after: After,
    model_faults: bool,
    listener: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[Planned, ...]:
    """The forks of `trials` instances of every variant, each sampled `repeats` times, instance by instance.

    `model_faults` says whether the agent asks its model through our own client, so that a model fault can reach it.
    `listener` is told how many instances are done, and of how many.
    """
    known = {loaded.id: loaded for loaded in scenarios}
    played: dict[str, list[str]] = {}
    for scenario, variant in variants:
        played.setdefault(scenario, []).append(variant)
    histories = Histories(build_conversation())
    planned: list[Planned] = []
    for number in range(trials):
        listener(number, trials)
        at = {scenario: instance_seed(seed, number, known[scenario].cycle) for scenario in played}
        points = [
            (scenario, point)
            for scenario, names in played.items()
            for point in await _points(known[scenario], names, at[scenario], number, histories, after, model_faults)
        ]
        for repeat in range(repeats):
            for scenario, point in points:
                key = TrialKey(scenario, f"{point.variant}/{point.turn + 1}", at[scenario], repeat)
                planned.append(Planned(len(planned), key, point))
    listener(trials, trials)
    await histories.close()
    return tuple(planned)


async def _points(
    loaded: Loaded,
    variants: Sequence[str],
    at: int,
    number: int,
    histories: Histories,
    after: After,
    model_faults: bool,
) -> list[ForkPoint]:
    """The forks of one instance: the detours' own turns first, then what several variants share."""
    golden = loaded.draw(GOLDEN, at)
    turns = [
        turn for variant in variants for turn in await _turns(loaded, variant, at, golden, histories, model_faults)
    ]
    own = [_alone(turn) for turn in turns if turn.kind is ForkKind.DETOUR]
    shared: dict[tuple[ForkKind, int | None], list[_Turn]] = {}
    for turn in turns:
        if turn.kind is ForkKind.AFTER and after == "each":
            own.append(_alone(turn))
        elif turn.kind is not ForkKind.DETOUR:
            shared.setdefault((turn.kind, turn.golden), []).append(turn)
    return [*own, *(_together(group, number) for group in shared.values())]


def _alone(turn: _Turn) -> ForkPoint:
    return ForkPoint(turn.variant, turn.history, turn.index, turn.kind, (turn.variant,))


def _together(turns: Sequence[_Turn], number: int) -> ForkPoint:
    """One fork for all: where histories differ, every instance takes the next one."""
    chosen = turns[0] if turns[0].kind is ForkKind.GOLDEN else turns[(number + (turns[0].golden or 0)) % len(turns)]
    return replace(_alone(chosen), serves=tuple(turn.variant for turn in turns))


async def _turns(
    loaded: Loaded, variant: str, at: int, golden: Instance, histories: Histories, model_faults: bool
) -> list[_Turn]:
    try:
        disturbed = loaded.disturbed(variant, at)
    except NoPlaceError:  # in the words of this instance: its one fork says so when it is played
        return [_Turn(variant, variant, 0, ForkKind.DETOUR, None)]
    users = [detour for detour in disturbed.detours if isinstance(detour, UserDetour)]
    faults = [
        detour
        for detour in disturbed.detours
        if isinstance(detour, ToolFault) or (isinstance(detour, ModelFault) and model_faults)
    ]
    history = variant_name(users, disturbed.undisturbed.variant)
    play = await histories.of(loaded, history, at) if faults else None
    places = {turn.id: index for index, turn in enumerate(golden.turns)}
    found = []
    for index, turn in enumerate(disturbed.instance.turns):
        place = places.get(turn.id)
        if place is None or golden.turns[place] != turn or _struck(faults, play, index, at, loaded):
            kind = ForkKind.DETOUR
        elif disturbed.instance.turns[: index + 1] == golden.turns[: index + 1]:
            kind = ForkKind.GOLDEN
        else:
            kind = ForkKind.AFTER
        found.append(_Turn(variant, history, index, kind, place))
    return found


def _struck(faults: Sequence[_Fault], play: History | None, turn: int, seed: int, loaded: Loaded) -> bool:
    """Whether a fault has its place in a turn: a right agent gives it occasion there, and it strikes."""
    if play is None or turn >= len(play.calls):
        return False
    made: Counter[str] = Counter()
    calls = []
    for call in play.calls[turn]:
        occasion = Occasion.of(call.name, call.arguments, loaded.tools)
        calls.append(replace(occasion, nth=made[occasion.signature]))
        made[occasion.signature] += 1
    return any(_strikes(fault, calls, play.moves[turn], seed, loaded.tools) for fault in faults)


def _strikes(fault: _Fault, calls: Sequence[Occasion], moves: int, seed: int, tools: Mapping[str, ToolSpec]) -> bool:
    if isinstance(fault, ModelFault):
        return any(fault.strikes(seed, nth) for nth in range(moves))
    targets = fault.targets(tools)
    return any(call.tool in targets and fault.strikes(seed, call) for call in calls)
