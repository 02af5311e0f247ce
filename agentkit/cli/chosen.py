"""What of a project's scenarios a command line chooses: those of `--tag`, in the variants of `--detours`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentkit.errors import UsageError, near_match

if TYPE_CHECKING:
    from agentkit.play.variants import Variants
    from agentkit.scenario import Loaded


def chosen_scenarios(paths: Sequence[str], tags: Sequence[str]) -> tuple[Loaded, ...]:
    """The scenarios of files and folders that have any of the tags; all of them where none is named.

    Raises:
        UsageError: a scenario is wrong, or no scenario has one of the tags.
    """
    from agentkit.scenario import load

    scenarios = load([Path(path) for path in paths])
    known = {tag for loaded in scenarios for tag in loaded.scenario.tags}
    for tag in tags:
        if tag not in known:
            raise UsageError(f"--tag: no scenario has the tag {tag!r}{near_match(tag, known)}")
    return tuple(loaded for loaded in scenarios if not tags or set(tags) & set(loaded.scenario.tags))


def chosen_variants(
    scenarios: Sequence[Loaded], detours: str, *, pairwise: bool = False, left_out: str = "not played"
) -> Variants:
    """The variants that `--detours` names; says on standard error which detours of the catalogue are `left_out`, since
    they find no place.

    Raises:
        UsageError: a word names nothing, or `pairwise` finds nothing to combine.
    """
    from agentkit.play.variants import choose_variants, cover_pairs

    try:
        chosen = choose_variants(scenarios, [part.strip() for part in detours.split(",")])
        chosen = cover_pairs(chosen) if pairwise else chosen
    except UsageError as error:
        raise UsageError(f"--detours: {error}") from None
    if chosen.without_place:
        click.echo(f"{left_out}, for want of a place to disturb: {chosen.left_out()}", err=True)
    return chosen
