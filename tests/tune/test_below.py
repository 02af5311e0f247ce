"""What the jobs of an adapter and of its parents hold, and what is said where they are gone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from agentkit.records import Job
from agentkit.serve.adapter_folder import verify
from agentkit.store import Store
from agentkit.tune.below import jobs_below
from agentkit.tune.compile import Below, Compiled, CompileSettings
from agentkit.tune.manifest import manifest_of, write_job
from agentkit.tune.registry import publish_and_register
from tests.store.records import make_job
from tests.tune.compiled import a_run, chat_agent, compiled, suite
from tests.tune.small_lora import make_card, write_lora

FEW = CompileSettings(train=2, validation=1, held_out=4, guards=0, moments=0)


async def job(store: Store, folder: Path, name: str, below: Below) -> tuple[Job, Compiled]:
    """One that compiled data, and of which nothing else is known."""
    data = await compiled(settings=FEW, below=below)
    made = make_job(name, folder=str(folder / name))
    manifest = manifest_of(name, data, a_run(), chat_agent(), suite(), FEW, base="tiny", base_hash="a" * 64)
    write_job(Path(made.folder), manifest, data.prompts, data.moments)
    store.create_job(made)
    return made, data


async def test_all_that_an_adapter_and_its_parents_saw_is_known_as_long_as_their_jobs_are_there(
    base: Path, adapters: Path, tmp_path: Path
) -> None:
    def publish(number: int, job: Job, *parents: str) -> Path:
        card = make_card(base, job=job.id, parents=parents)
        return Path(publish_and_register(store, write_lora(tmp_path / str(number), number), adapters, card).path)

    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        assert jobs_below(None, store) == Below()
        first_job, first = await job(store, tmp_path, "j1", Below())
        lower = verify(publish(1, first_job))
        found = jobs_below(lower, store)
        assert found.instances == {it.instance for it in (*first.prompts, *first.held_out)}
        assert (found.wordings, found.unknown) == (first.wordings, ())

        second_job, second = await job(store, tmp_path, "j2", found)
        warm = verify(publish(2, second_job, str(lower.name)))
        upper = verify(publish(3, second_job, str(lower.name), str(warm.name)))
        both = jobs_below(upper, store)
        assert both.instances == found.instances | {it.instance for it in (*second.prompts, *second.held_out)}
        assert len(both.instances) == 2 * len(found.instances)

        shutil.rmtree(first_job.folder)
        left = jobs_below(upper, store)
        assert left.instances == both.instances - found.instances
        (said,) = left.unknown
        assert said.startswith(f"{lower.name}: {first_job.folder}/manifest.json: cannot be read")

        orphan = replace(upper, manifest=upper.manifest.model_copy(update={"job": None}))
        assert jobs_below(orphan, store).unknown == (f"{upper.name}: no job of it is known", said)
