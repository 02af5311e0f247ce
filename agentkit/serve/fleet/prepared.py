"""Adapters made ready to be served: all that can be checked before a server is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agentkit.errors import AdapterError
from agentkit.records import AdapterName
from agentkit.serve.adapter_folder import CONFIG, WEIGHTS, AdapterFolder, verify
from agentkit.serve.lora import check_lora
from agentkit.serve.merged import merged_model, merged_name
from agentkit.serve.model_hash import content_hash
from agentkit.serve.probe import Probe, probe_of
from agentkit.serve.weights import model_tensors


@dataclass(frozen=True, slots=True)
class Prepared:
    """An adapter that fits the base model, and what it must say."""

    folder: AdapterFolder
    probe: Probe

    @property
    def name(self) -> AdapterName:
        return self.folder.name


@dataclass(frozen=True, slots=True)
class Merged:
    """The same in the weights of a model of its own."""

    prepared: Prepared
    model: Path
    name: str
    """What requests call that model."""


def prepare(adapter: AdapterFolder, base: Path | None, max_rank: int) -> Prepared:
    """Check an adapter's folder once more, byte by byte, and that all its weights have their place in the base model.

    Args:
        base: the base model's folder; None where it is not on this machine, and only the server can tell.
        max_rank: of adapters that the servers have room for.

    Raises:
        AdapterError: it is not what it was published as, or does not fit.
        EngineError: it has no probe, and none can be made here.
    """
    verify(adapter.path, manifest_hash=adapter.manifest_hash)
    config = json.loads((adapter.path / CONFIG).read_text(encoding="utf-8"))
    if base is not None and (found := content_hash(base)) != adapter.manifest.base_hash:
        raise AdapterError(
            f"adapter {adapter.name} is for {adapter.manifest.base} with the hash {adapter.manifest.base_hash[:12]}…, "
            f"found {found[:12]}… in {base}"
        )
    check_lora(adapter.path / WEIGHTS, config, None if base is None else model_tensors(base))
    if (rank := adapter.rank) > max_rank:
        raise AdapterError(
            f"adapter {adapter.name}: found the rank {rank}, expected at most {max_rank} (max_lora_rank of "
            "[tool.agentkit.serve.engines])"
        )
    return Prepared(adapter, probe_of(adapter, base or Path(adapter.manifest.base)))


def merge(prepared: Prepared, base: Path, base_name: str, tell: Callable[[str], None]) -> Merged:
    """The model with the adapter in its weights. Raises as `merged_model`."""
    folder = merged_model(base, [prepared.folder], on_progress=tell)
    return Merged(prepared, folder, merged_name(base_name, [prepared.folder]))
