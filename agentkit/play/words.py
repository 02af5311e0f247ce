"""What the words of `--detours` choose, told from names alone.

One definition for every command and for pytest. Light to import, because pytest asks here, when it collects, about
files that it has only looked at; the catalogue itself is loaded where a word names a detour of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from agentkit.errors import UsageError, near_match
from agentkit.records import CATALOGUE_WORDS, OWN_WORDS

if TYPE_CHECKING:
    from agentkit.scenario.detours import CatalogueDetour


def own_variants(defined: Sequence[str], words: Collection[str]) -> list[str]:
    """Those of the detours that a scenario defines (by id) which the words choose."""
    if "own" in words:
        return list(defined)
    return list(defined[:1]) if "first" in words else [variant for variant in defined if variant in words]


def catalogue_variants(words: Iterable[str]) -> dict[str, CatalogueDetour]:
    """Variant → detour: those of the catalogue which the words choose.

    Raises:
        UsageError: a word names a detour that the catalogue does not have, or an intensity that is none.
    """
    chosen = [word for word in words if _of_catalogue(word)]
    if not chosen:
        return {}
    from agentkit.scenario.detours import select, variant_name

    return {variant_name([detour]): detour for word in chosen for detour in select(word)}


def refuse_unknown(words: Iterable[str], own: Collection[str]) -> None:
    """Raises UsageError where a word names nothing; `own`: ids of the detours that the scenarios define."""
    strange = [word.partition("@")[0] for word in words if word not in own and word not in OWN_WORDS]
    if not strange:
        return
    from agentkit.scenario.detours import CATALOGUE

    for name in strange:
        if name not in CATALOGUE and name not in CATALOGUE_WORDS:
            known = [*own, *OWN_WORDS, *CATALOGUE_WORDS, *CATALOGUE]
            raise UsageError(f"no detour is called {name!r}{near_match(name, known)}")


def _of_catalogue(word: str) -> bool:
    """No detour of a scenario's own may be called so: the names of the catalogue's have a colon."""
    name = word.partition("@")[0]
    return ":" in name or name in CATALOGUE_WORDS
