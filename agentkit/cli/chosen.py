"""What of a project's scenarios a command line chooses: the variants of `--detours`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from agentkit.errors import UsageError

if TYPE_CHECKING:
    from agentkit.play.variants import Variants
    from agentkit.scenario import Loaded


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
