"""The catalogue by name, and the names of the variants in which its detours are played.

A variant is named by what it is: `golden`, a scenario's own detour (`changes_mind`), a detour of the catalogue with its
intensity (`tool:timeout@0.3`), or several of them together (`user:vague@1+tool:error@0.5`,
`changes_mind+model:refusal@1`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from agentkit.errors import UsageError, near_match
from agentkit.records import CATALOGUE_WORDS, GOLDEN, ToolSpec
from agentkit.scenario.detours.base import CatalogueDetour, NotApplicable, ToolFault, UserDetour
from agentkit.scenario.detours.model import MODEL_FAULTS
from agentkit.scenario.detours.tool import TOOL_FAULTS
from agentkit.scenario.detours.user import USER_DETOURS
from agentkit.scenario.instance import Instance

CATALOGUE: Mapping[str, type[CatalogueDetour]] = {
    f"{kind.party}:{kind.name}": kind for kind in (*USER_DETOURS, *TOOL_FAULTS, *MODEL_FAULTS)
}
PARTIES = CATALOGUE_WORDS[1:]


@dataclass(frozen=True, slots=True)
class Disturbed:
    """An instance with its detours, and without them."""

    instance: Instance
    """What is played."""
    undisturbed: Instance
    detours: tuple[CatalogueDetour, ...] = ()


def select(word: str) -> list[CatalogueDetour]:
    """The detours that `all`, a party (`user`), or an id (`tool:timeout`) name, each with what follows an `@` as its
    intensity (1 where nothing does).

    Raises:
        UsageError: there is no such detour, or the intensity is no number from 0 to 1.
    """
    name, at, dose = word.partition("@")
    intensity = _intensity(word, dose) if at else 1.0
    chosen = [kind for id, kind in CATALOGUE.items() if name in ("all", kind.party, id)]
    if not chosen:
        known = ["all", *PARTIES, *CATALOGUE]
        raise UsageError(f"no detour of the catalogue is called {name!r}{near_match(name, known)}")
    return [kind(intensity=intensity) for kind in chosen]


def _intensity(word: str, dose: str) -> float:
    try:
        intensity = float(dose)
    except ValueError:
        intensity = -1.0
    if not 0 <= intensity <= 1:
        raise UsageError(f"{word}: found the intensity {dose!r}, expected a number from 0 to 1")
    return intensity


def variant_name(detours: Iterable[CatalogueDetour], base: str = GOLDEN) -> str:
    """The variant in which these detours disturb `base`."""
    parts = [f"{detour.id}@{detour.intensity:g}" for detour in detours]
    return "+".join([base, *parts] if base != GOLDEN or not parts else parts)


def parse_variant(variant: str) -> tuple[str, tuple[CatalogueDetour, ...]]:
    """The base variant and the detours of the catalogue that a variant's name tells. Raises UsageError."""
    parts = variant.split("+")
    bases = [part for part in parts if ":" not in part]
    if len(bases) > 1:
        raise UsageError(f"{variant!r}: {bases[0]} and {bases[1]} are two ways through the scenario; expected one")
    detours = tuple(detour for part in parts if ":" in part for detour in select(part))
    return (bases[0] if bases else GOLDEN), detours


def disturb(
    undisturbed: Instance, variant: str, detours: tuple[CatalogueDetour, ...], tools: Mapping[str, ToolSpec]
) -> Disturbed:
    """The instance as it is played under these detours.

    Raises:
        NotApplicable: the scenario gives one of them no place.
        UsageError: one of them is there twice, or two are of the user: each knows the undisturbed words alone.
    """
    twice = next((id for id, count in Counter(detour.id for detour in detours).items() if count > 1), None)
    if twice:
        raise UsageError(f"{undisturbed.scenario}: {variant}: {twice} twice in one conversation")
    users = [detour.id for detour in detours if isinstance(detour, UserDetour)]
    if len(users) > 1:
        raise UsageError(
            f"{undisturbed.scenario}: {variant}: {users[0]} and {users[1]} in one conversation; expected one"
        )
    instance = undisturbed
    for detour in detours:
        if isinstance(detour, UserDetour):
            instance = detour.apply(instance, tools)
        elif isinstance(detour, ToolFault) and not detour.targets(tools):
            raise NotApplicable(f"it has no tool{' that changes something' if tools else ''}")
    return Disturbed(replace(instance, variant=variant), undisturbed, detours)
