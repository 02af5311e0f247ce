"""An adapter that is worse at one step, planted to show that a canary throws it out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from agentkit.records import Adapter
from agentkit.serve.adapter_folder import PROBE
from agentkit.serve.probe import make_probe
from agentkit.store import Store
from agentkit.tune.card import ModelCard
from agentkit.tune.manifest import MOMENTS, PROMPTS, read_manifest
from agentkit.tune.phase import ADAPTER, RESULT, Phase
from agentkit.tune.registry import publish_and_register
from agentkit.tune.training import weaken_adapter


@dataclass(frozen=True, slots=True)
class Planted:
    """The worse adapter and what is known of it."""

    adapter: Adapter
    scale: float
    """Part of the good one's change that it holds."""
    passed: int
    before: int
    """Of the good one."""
    graded: int
    """Held-out moments of the job that were asked."""

    def __str__(self) -> str:
        right = f"right at {self.passed} of {self.graded} held-out moments"
        return f"{self.adapter.name}: {right}, where the promoted one is at {self.before}"


def plant(
    store: Store, job_folder: Path, good: Adapter, base: Path, folder: Path, adapters: Path, drop: float
) -> Planted:
    """Publish a part of a good adapter's change that is right at a share `drop` fewer of the job's held-out moments:
    what it was trained on it would go on answering.

    `base`: the model that the adapter is for.

    Raises:
        AgentkitError: the program that looks for it failed.
    """
    weakened = {"model": base, "start": Path(good.path).absolute(), "prompts": (job_folder / MOMENTS).absolute()}
    phase = Phase.read(max((job_folder / "train").iterdir()))
    phase.model_copy(update={name: str(path) for name, path in weakened.items()}).write(folder)
    weaken_adapter(folder, drop)
    found = orjson.loads((folder / RESULT).read_bytes())
    make_probe(base, folder / ADAPTER, folder / ADAPTER / PROBE, job_folder / PROMPTS)
    manifest = read_manifest(job_folder)
    card = ModelCard(
        step=good.step,
        base=good.base,
        base_hash=good.base_hash,
        data_hash=manifest.prompts_sha256,
        scenarios=good.scenarios,
        parents=(str(good.name),),
        method=f"{found['scale']:.0%} of the change of {good.name}, made worse on purpose",
        limits=("It is worse than what it was made of, to show that a canary finds that.",),
    )
    adapter = publish_and_register(store, folder / ADAPTER, adapters, card, base_folder=base)
    return Planted(adapter, found["scale"], found["passed"], found["before"], found["graded"])
