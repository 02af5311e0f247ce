"""The adapters that an agent names, from the registry or straight from their folder, verified either way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentkit.records import AdapterName
from agentkit.serve.adapter_folder import AdapterFolder, find_adapter, verify
from agentkit.store import Store


def find_adapters(names: Sequence[str], folder: Path, store: Store) -> tuple[AdapterFolder, ...]:
    """The adapters of these names, in their order.

    One that is registered is held against the registry, and one that is not yet against its own manifest; that one is
    looked for below `folder`.

    Raises:
        AdapterError: one is missing, with the nearest name, or is not what it was published as.
    """
    known = {adapter.name: adapter for adapter in store.adapters()}

    def find(name: str) -> AdapterFolder:
        registered = known.get(AdapterName(name))
        if registered is None:
            return find_adapter(name, folder)
        return verify(Path(registered.path), manifest_hash=registered.manifest_hash)

    return tuple(find(name) for name in names)
