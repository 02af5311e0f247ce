"""An adapter that is worse at one step, planted to show that a canary throws it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from agentkit.errors import UsageError
from agentkit.play.forks.golden import golden_plays
from agentkit.records import Adapter, Status, Trial
from agentkit.scenario import Loaded, NoPlaceError
from agentkit.serve.adapter_folder import PROBE
from agentkit.serve.probe import make_probe
from agentkit.store import Store
from agentkit.tune.card import ModelCard
from agentkit.tune.compile import silent_agent
from agentkit.tune.manifest import MOMENTS, PROMPTS, read_manifest
from agentkit.tune.moment import NoPrompt, prompt_of
from agentkit.tune.phase import ADAPTER, RESULT, Phase
from agentkit.tune.prompt import Prompt, Split, write_prompts
from agentkit.tune.recorded import recorded, recorded_due
from agentkit.tune.registry import publish_and_register
from agentkit.tune.training import weaken_adapter

_FOLDER = Path(".agentkit") / "planted"
_LEAST, _MOST = 20, 128
"""Moments that it is chosen by: of fewer a drop cannot be told, and more would take longer than they are worth."""


@dataclass(frozen=True, slots=True)
class Planted:
    """The worse adapter and what is known of it."""

    adapter: Adapter
    scale: float
    """Part of the good one's change that it holds."""
    passed: int
    graded: int
    """Moments in which it was asked; the good one was right at all of them."""

    def __str__(self) -> str:
        right = f"right at {self.passed} of {self.graded} moments"
        return f"{self.adapter.name}: {right} of conversations in which the promoted one was right at all of them"


async def moments_of(
    store: Store, job_folder: Path, conversations: Iterable[Trial], scenarios: Iterable[Loaded]
) -> list[Prompt]:
    """The moments at which a job's step was right in these conversations, oldest first, with what was said before.

    They are what users meet. At the job's held-out moments all that came before is as it should be, which a part of a
    change may find harder, or easier, than what the model itself has said.
    """
    known = {it.id: it for it in scenarios}
    manifest = read_manifest(job_folder)
    run = store.run(manifest.run.id)
    agent, found = silent_agent(run), []
    async with golden_plays(known.values()) as plays:
        for it in recorded(conversations, manifest.target.made_of, Status.PASSED):
            loaded = known[it.step.scenario]
            golden = await plays.of(loaded, it.step.variant, it.trial.key.instance)
            with suppress(NoPrompt, NoPlaceError):
                due = await recorded_due(it, loaded, golden.messages)
                found.append(await prompt_of(due, agent, Split.HELD_OUT, run.seed))
    return found


def plant(store: Store, job_folder: Path, good: Adapter, base: Path, moments: Sequence[Prompt], drop: float) -> Planted:
    """Publish a part of a good adapter's change that is wrong at a share `drop` of the newest moments, at all of which
    the whole was right.

    `base`: the model that the adapter is for.

    Raises:
        UsageError: there are too few moments.
        AgentkitError: the program that looks for it failed.
    """
    if len(moments) < _LEAST:
        few = f"{good.name} was right at {good.step_name} in {len(moments)} conversations with users"
        raise UsageError(f"{few}, expected {_LEAST} at least, by which a worse one is chosen: raise --trials")
    folder = _FOLDER / good.name
    phase = Phase.read(max((job_folder / "train").iterdir()))
    weakened = {"model": base, "start": Path(good.path).absolute(), "prompts": (folder / MOMENTS).absolute()}
    phase.model_copy(update={name: str(path) for name, path in weakened.items()}).write(folder)
    write_prompts(moments[-_MOST:], folder / MOMENTS)
    weaken_adapter(folder, drop)
    found = orjson.loads((folder / RESULT).read_bytes())
    make_probe(base, folder / ADAPTER, folder / ADAPTER / PROBE, job_folder / PROMPTS)
    card = ModelCard(
        step=good.step,
        base=good.base,
        base_hash=good.base_hash,
        data_hash=read_manifest(job_folder).prompts_sha256,
        scenarios=good.scenarios,
        parents=(str(good.name),),
        method=f"{found['scale']:.0%} of the change of {good.name}, made worse on purpose",
        limits=("It is worse than what it was made of, to show that a canary finds that.",),
    )
    adapter = publish_and_register(store, folder / ADAPTER, Path(good.path).parent, card, base_folder=base)
    return Planted(adapter, found["scale"], found["passed"], found["graded"])
