"""What else an agent does: conversations of the suite in which the trained step has no place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from agentkit.play.plan import instance_seed
from agentkit.scenario import Loaded
from agentkit.tune.manifest import Manifest
from agentkit.tune.split import HeldOut


def rest_of(manifest: Manifest, scenarios: Sequence[Loaded], count: int) -> tuple[HeldOut, ...]:
    """`count` conversations over all variants of the target's suites that are not proved on themselves, in turns.

    Their seed is one that neither the data of the job nor a run is drawn from; jobs with the same conversations of the
    step have the same of the rest, whatever they train with.
    """
    proved = {(it.scenario, it.variant) for it in manifest.held_out}
    suites = {scenario.rpartition("/")[0] for scenario in manifest.scenarios}
    cells = [
        (loaded.id, variant)
        for loaded in scenarios
        if loaded.id.rpartition("/")[0] in suites
        for variant in loaded.variants
        if (loaded.id, variant) not in proved
    ]
    proving = "\n".join(f"{it.scenario}/{it.variant}/{it.instance}" for it in manifest.held_out)
    seed = int(hashlib.sha256(proving.encode()).hexdigest()[:12], 16)
    return tuple(
        HeldOut(scenario=scenario, variant=variant, instance=instance_seed(seed, number))
        for number in range(count if cells else 0)
        for scenario, variant in (cells[number % len(cells)],)
    )
