"""What the adapters underneath were trained and chosen on: nothing of it may prove what is trained on top of them."""

from __future__ import annotations

from pathlib import Path

from agentkit.errors import UsageError
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.store import Store
from agentkit.tune.compile import Below
from agentkit.tune.manifest import read_job
from agentkit.tune.registry import record
from agentkit.tune.split import TurnWording


def jobs_below(onto: AdapterFolder | None, store: Store) -> Below:
    """The data of the jobs of an adapter and of its parents, as far as they can be read."""
    if onto is None:
        return Below()
    known = {it.name: it for it in store.adapters()} | {onto.name: record(onto)}
    names, read, unknown = [onto.name], set(), []
    instances: set[int] = set()
    wordings: list[TurnWording] = []
    for name in names:  # which grows by parents
        adapter = known.get(name)
        parents, job = ((), None) if adapter is None else (adapter.parents, adapter.job)
        names += [it for it in parents if it not in names]
        if job in read:
            continue
        if job is None:
            unknown.append(f"{name}: no job of it is known")
            continue
        read.add(job)
        try:
            manifest, prompts = read_job(Path(store.job(job).folder))
        except UsageError as reason:
            unknown.append(f"{name}: {reason}")
        else:
            instances |= {it.instance for it in prompts} | {it.instance for it in manifest.held_out}
            wordings += manifest.wordings
    return Below(frozenset(instances), tuple(wordings), tuple(unknown))
