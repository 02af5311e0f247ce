"""Which variants a run plays: the scenarios' own detours, and those of the catalogue where they find a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentkit.errors import UsageError
from agentkit.play.words import catalogue_variants, own_variants, refuse_unknown
from agentkit.records import GOLDEN
from agentkit.scenario import Loaded
from agentkit.scenario.detours import PARTIES, CatalogueDetour, NotApplicable, disturb

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Variants:
    """What is to be played."""

    cells: tuple[tuple[str, str], ...]
    """(scenario id, variant) in playing order."""
    without_place: tuple[tuple[str, str, str], ...] = ()
    """(scenario id, detour, why the scenario gives it no place)."""
    nowhere: tuple[str, ...] = ()
    """Words that name detours of the catalogue, none of which finds a place in any scenario."""

    def left_out(self) -> str:
        """Those without a place, in words."""
        words = [f"{detour} in {scenario} ({why})" for scenario, detour, why in self.without_place]
        more = len(words) - _SHOWN
        return "; ".join(words[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def choose_variants(scenarios: Sequence[Loaded], words: Sequence[str]) -> Variants:
    """The golden path of every scenario, and what `words` name.

    A word is `own` (all detours that a scenario defines), `first` (one of them), `none`, the id of one, or names
    detours of the catalogue: `all`, a party, or an id, with an intensity after an `@`.

    Raises:
        UsageError: a word names nothing.
    """
    own = {loaded.id: [variant for variant in loaded.variants if variant != GOLDEN] for loaded in scenarios}
    refuse_unknown(words, {variant for variants in own.values() for variant in variants})
    detours = catalogue_variants(words)
    cells: list[tuple[str, str]] = []
    without: list[tuple[str, str, str]] = []
    for loaded in scenarios:
        cells += [(loaded.id, variant) for variant in (GOLDEN, *own_variants(own[loaded.id], words))]
        for variant, detour in detours.items():
            why = no_place(loaded, detour)
            if why is None:
                cells.append((loaded.id, variant))
            else:
                without.append((loaded.id, detour.id, why))
    placed = {variant for _, variant in cells}
    nowhere = [word for word in words if (named := catalogue_variants([word])) and placed.isdisjoint(named)]
    return Variants(tuple(cells), tuple(without), tuple(nowhere))


def cover_pairs(chosen: Variants) -> Variants:
    """Detours of the catalogue in combinations, one of each party at most, instead of one at a time.

    A covering design of strength 2 (greedy, `allpairspy`) over scenario, user, tool and model: every two of those meet
    in some trial wherever both find a place, and so does each with nothing. The golden paths and the scenarios' own
    detours stay as they are.
    """
    levels: dict[str, list[str]] = {party: [""] for party in PARTIES}
    alone: list[tuple[str, str]] = []
    places: set[tuple[str, str]] = set()
    for scenario, variant in chosen.cells:
        party = variant.partition(":")[0] if ":" in variant else ""
        if not party:
            alone.append((scenario, variant))
            continue
        places.add((scenario, variant))
        if variant not in levels[party]:
            levels[party].append(variant)
    scenarios = list(dict.fromkeys(scenario for scenario, _ in chosen.cells))
    factors = [scenarios, *(found for found in levels.values() if len(found) > 1)]
    if len(factors) < 3:
        raise UsageError("to combine detours, name some of at least two of user, tool and model")

    def fits(row: Sequence[str]) -> bool:
        return all(not variant or (row[0], variant) in places for variant in row[1:])

    from allpairspy import AllPairs

    rows = [(row[0], "+".join(filter(None, row[1:]))) for row in AllPairs(factors, filter_func=fits)]
    return replace(chosen, cells=(*alone, *dict.fromkeys(row for row in rows if row[1])))


def no_place(loaded: Loaded, detour: CatalogueDetour) -> str | None:
    """Why a scenario gives a detour no place; None where it does."""
    try:
        disturb(loaded.draw(GOLDEN, 0), GOLDEN, (detour,), loaded.tools)
    except NotApplicable as error:
        return str(error)
    return None
