"""The model card of what one phase of a job trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentkit.tune.card import ModelCard
from agentkit.tune.manifest import Manifest
from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Split
from agentkit.tune.settings import JobSettings

ONE_STEP = "It was trained for one step; what it does elsewhere is in its certificate."
_TOLD = ("learning_rate", "batch", "lora", "beta", "steps", "epochs", "group")


def phase_card(
    manifest: Manifest,
    settings: JobSettings,
    phase: Phase,
    result: Mapping[str, Any],
    parents: tuple[str, ...],
    lacks: str = "",
) -> ModelCard:
    """`result`: of the phase. `parents`: adapters that it went on with, or on top of which it was trained. `lacks`:
    what it does not hold of that one's change and its own."""
    training = {name: value for name, value in phase.model_dump(mode="json").items() if name in _TOLD}
    return ModelCard(
        step=manifest.target.name,
        base=manifest.base.name,
        base_hash=manifest.base.hash,
        data_hash=manifest.prompts_sha256,
        scenarios=tuple(manifest.scenarios),
        parents=parents,
        job=manifest.job,
        reward_hash=manifest.rubric.hash if phase.method == "grpo" and manifest.rubric is not None else None,
        method=phase.method.upper()
        + (" after a warm start" if phase.start else "")
        + (f", on top of {manifest.onto}" if manifest.onto else ""),
        examples=sum(count.prompts for count in manifest.counts if count.split is Split.TRAIN),
        data="recorded failures of the step, and the same moments with new values",
        training=training | {"best_update": result["best"], "stopped": result["stopped"]},
        seeds={"data": settings.seed, "training": settings.training_seed},
        versions=result["versions"],
        limits=(ONE_STEP, *filter(None, [lacks])),
    )
