"""Publish what a training wrote as an adapter: checked, named by its content, and never changed again."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentkit.errors import AdapterError
from agentkit.lock import locked
from agentkit.serve.adapter_folder import (
    CARD,
    CONFIG,
    MANIFEST,
    NAME,
    PICKLES,
    PROBE,
    WEIGHTS,
    AdapterFolder,
    Manifest,
    adapter_hash,
    adapter_names,
    verify,
)
from agentkit.serve.lora import check_lora
from agentkit.serve.model_hash import content_hash, file_hash
from agentkit.serve.probe import read_probe
from agentkit.serve.weights import Tensor, model_tensors
from agentkit.tune.card import ModelCard, readme

_DRAFT = ".draft-"
_LOCK = ".lock"
_READ_ONLY = 0o444


def publish(
    source: Path, folder: Path, card: ModelCard, *, base_folder: Path | None = None, taken: Sequence[str] = ()
) -> AdapterFolder:
    """Publish PEFT's output folder `source` below the adapters' folder, whole or not at all, under the next name of its
    step, and its probe where there is one; checkpoints and all else that PEFT or a trainer left there stay behind.

    What was published already, with the same weights for the same step, is not published again but given as it is.

    Args:
        base_folder: the base model, where it is on this machine: each tensor must then fit one of its modules.
        taken: names that the registry knows, whether or not their folders are here.

    Raises:
        AdapterError: the adapter is a pickle, broken, untrained, or does not fit its configuration or base model.
    """
    base = None
    if base_folder is not None:
        base = model_tensors(base_folder)
        if (found := content_hash(base_folder)) != card.base_hash:
            raise AdapterError(f"{base_folder}: its hash is {found[:12]}…, but the card says {card.base_hash[:12]}…")
    config = _config(source, card)
    try:
        name = _publish(source, folder, card, config, base, taken)
    except OSError as error:
        raise AdapterError(f"{folder}: the adapter cannot be written there: {error}") from None
    return verify(folder / name)


def _publish(
    source: Path,
    folder: Path,
    card: ModelCard,
    config: Mapping[str, Any],
    base: Mapping[str, Tensor] | None,
    taken: Sequence[str],
) -> str:
    """Write a draft, check it, and put it in place; the name it has then."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / _LOCK):  # so that no two processes take one version
        _sweep(folder)
        draft = Path(tempfile.mkdtemp(dir=folder, prefix=_DRAFT))
        try:
            _write(draft / CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n")
            shutil.copyfile(source / WEIGHTS, draft / WEIGHTS)
            try:
                check_lora(draft / WEIGHTS, config, base)
            except AdapterError as error:
                raise AdapterError(str(error).replace(str(draft), str(source))) from None
            hashed = adapter_hash({name: file_hash(draft / name) for name in (WEIGHTS, CONFIG)})
            if (source / PROBE).is_file():
                read_probe(source / PROBE, draft / WEIGHTS)
                shutil.copyfile(source / PROBE, draft / PROBE)
            known = (*adapter_names(folder), *taken)
            if (there := _published(folder, card, hashed)) is not None:
                return there.name
            name = _name(card.step, hashed, known)
            _complete(draft, name, hashed, card)
            draft.chmod(0o755)
            os.rename(draft, folder / name)
            _flush(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return name


def slug(step: str) -> str:
    """A step's id as it stands in names of adapters: `point_of_sale/refund` → `point_of_sale-refund`."""
    return re.sub(r"[^a-z0-9_]+", "-", step.lower()).strip("-_")[:80].rstrip("-_") or "step"


def _config(source: Path, card: ModelCard) -> dict[str, Any]:
    """PEFT's configuration as it is published: without the folders of the machine that trained, and in one order."""
    if not source.is_dir():
        raise AdapterError(f"{source}: there is no such folder")
    pickles = [f"adapter_model{ending}" for ending in PICKLES if (source / f"adapter_model{ending}").exists()]
    if pickles:
        raise AdapterError(
            f"{source / pickles[0]}: is a pickle, which can run code when it is loaded; "
            f"save the adapter as safetensors ({WEIGHTS}) and take the pickle away"
        )
    for name in (WEIGHTS, CONFIG):
        if not (source / name).is_file():
            raise AdapterError(f"{source}: expected PEFT's output folder, found no {name} in it")
    try:
        config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterError(f"{source / CONFIG}: is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise AdapterError(f"{source / CONFIG}: found a {type(config).__name__}, expected an object")
    targets = config.get("target_modules")
    if isinstance(targets, list) and all(isinstance(it, str) for it in targets):
        config["target_modules"] = sorted(targets)  # PEFT keeps a set, in any order
    return {**config, "base_model_name_or_path": card.base, "revision": None, "inference_mode": True}


def _published(folder: Path, card: ModelCard, hashed: str) -> AdapterFolder | None:
    """The adapter of the same step that has the same content; verified."""
    for name in adapter_names(folder):
        match = NAME.fullmatch(name)
        if match and match["step"] == slug(card.step) and hashed.startswith(match["digits"]):
            there = verify(folder / name)
            if (there.manifest.hash, there.manifest.base_hash) == (hashed, card.base_hash):
                return there
    return None


def _name(step: str, hashed: str, known: Sequence[str]) -> str:
    """The step, its next version, and as many digits of the hash as no other version of the step begins with."""
    others = [name for it in known if (name := NAME.fullmatch(it)) and name["step"] == slug(step)]
    version = 1 + max((int(name["version"]) for name in others), default=0)
    digits = 4
    while digits < len(hashed) and any(name["digits"].startswith(hashed[:digits]) for name in others):
        digits += 1
    return f"{slug(step)}-v{version}-{hashed[:digits]}"


def _complete(draft: Path, name: str, hashed: str, card: ModelCard) -> None:
    """The model card and the manifest beside the weights; everything on the disk and read-only."""
    _write(draft / CARD, readme(name, card))
    try:
        manifest = Manifest(
            name=name,
            hash=hashed,
            step=card.step,
            scenarios=card.scenarios,
            base=card.base,
            base_hash=card.base_hash,
            parents=card.parents,
            job=card.job,
            data_hash=card.data_hash,
            reward_hash=card.reward_hash,
            seeds=dict(card.seeds),
            versions=dict(card.versions),
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            card=card.document(),
            files={it: file_hash(draft / it) for it in (WEIGHTS, CONFIG, CARD, PROBE) if (draft / it).is_file()},
        )
        text = manifest.model_dump_json(indent=2) + "\n"
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, detail["loc"]))
        raise AdapterError(f"model card: {place}: found {detail['input']!r}, expected: {detail['msg']}") from None
    except ValueError as error:  # PydanticSerializationError
        raise AdapterError(f"model card: is no plain JSON: {error}") from None
    _write(draft / MANIFEST, text)
    for path in draft.iterdir():
        path.chmod(_READ_ONLY)
        _flush(path)
    _flush(draft)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Take away drafts whose process died: whoever publishes now is alone here."""
    for draft in folder.glob(f"{_DRAFT}*"):
        shutil.rmtree(draft, ignore_errors=True)


def recorded(manifest: Manifest) -> Mapping[str, Any]:
    """What the registry keeps as the card of an adapter; plain JSON."""
    own = ("data_hash", "reward_hash", "seeds", "versions")
    return {**manifest.card, **manifest.model_dump(mode="json", include=set(own))}
