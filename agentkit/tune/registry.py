"""From folders of adapters to the registry: a row is written only for a folder that is whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentkit.errors import AdapterError
from agentkit.records import Adapter, AdapterName
from agentkit.serve.adapter_folder import AdapterFolder, adapter_names, verify
from agentkit.store import Store
from agentkit.tune.adapter import publish, recorded
from agentkit.tune.card import ModelCard


@dataclass(frozen=True, slots=True)
class Left:
    """A folder that no row of the registry names: published, and then the process died."""

    path: Path
    problem: str
    """Why it cannot be registered; '' where it can."""


def publish_and_register(
    store: Store, source: Path, folder: Path, card: ModelCard, *, base_folder: Path | None = None
) -> Adapter:
    """Publish PEFT's output below the adapters' folder, and enter it in the registry as a candidate.

    Killed in between, it leaves a whole folder that is not registered (`left_behind`); doing it again ends the matter.

    Raises:
        AdapterError: the adapter cannot be published (`publish`).
    """
    taken = [adapter.name for adapter in store.adapters()]
    return register(store, publish(source, folder, card, base_folder=base_folder, taken=taken).path)


def register(store: Store, folder: Path) -> Adapter:
    """Enter an adapter's folder in the registry once it is verified, and give the row; an old one stays as it is.

    Raises:
        AdapterError: the folder is not what it was published as.
        StoreError: another adapter is registered under its name.
    """
    found = verify(folder)
    store.add_adapter(record(found))
    return store.adapter(found.name)


def record(found: AdapterFolder) -> Adapter:
    """What the registry holds of a verified folder, as a candidate."""
    manifest = found.manifest
    return Adapter(
        name=found.name,
        step=manifest.step,
        scenarios=manifest.scenarios,
        base=manifest.base,
        base_hash=manifest.base_hash,
        parents=tuple(AdapterName(parent) for parent in manifest.parents),
        job=found.job,
        path=str(found.path),
        hash=manifest.hash,
        manifest_hash=found.manifest_hash,
        created_at=manifest.created_at,
        card=recorded(manifest),
        certificate=manifest.card.get("certificate"),
    )


def left_behind(store: Store, folder: Path) -> list[Left]:
    """Adapters below the adapters' folder that are not registered, and whether each could be."""
    known = {adapter.name for adapter in store.adapters()}
    found = []
    for name in adapter_names(folder):
        if name not in known:
            try:
                verify(folder / name)
                found.append(Left(folder / name, ""))
            except AdapterError as error:
                found.append(Left(folder / name, str(error)))
    return found


def check_registered(adapter: Adapter) -> AdapterFolder:
    """A registered adapter's folder, held against the registry.

    Raises:
        AdapterError: it is missing, or not what was registered.
    """
    return verify(Path(adapter.path), manifest_hash=adapter.manifest_hash)
