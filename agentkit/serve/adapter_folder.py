"""Adapters in their folders: each holds a few files, is written once, and can be held against its own manifest.

refund-v1-3fa9/
    adapter_model.safetensors   the weights, LoRA pairs
    adapter_config.json         as PEFT and vLLM read it
    README.md                   the model card
    probe.json                  what it must say at a few prompts, where that was computed (`probe.py`)
    manifest.json               SHA-256 of the others, and where they come from
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentkit.errors import AdapterError, near_match
from agentkit.records import AdapterName, JobId
from agentkit.serve.model_hash import file_hash
from agentkit.serve.weights import read_tensors

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
CARD = "README.md"
MANIFEST = "manifest.json"
PROBE = "probe.json"
NAME = re.compile(r"(?P<step>[a-z0-9][a-z0-9_-]{0,79})-v(?P<version>[1-9][0-9]{0,8})-(?P<digits>[0-9a-f]{4,64})")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_LARGEST_MANIFEST = 10_000_000

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What an adapter's folder holds, and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    hash: Sha256
    """Of weights and configuration (`adapter_hash`); the name ends in its beginning."""
    step: str
    """Id of the step that it is to repair."""
    scenarios: tuple[str, ...] = ()
    base: str
    """Name of the model whose weights it changes."""
    base_hash: Sha256
    """`content_hash` of that model's folder."""
    parents: tuple[str, ...] = ()
    """Adapters that its training started from."""
    job: str | None = None
    data_hash: Annotated[str, Field(min_length=1)]
    """Of the examples that it was trained on."""
    reward_hash: str | None = None
    """Of the reward functions; None where none was asked."""
    seeds: dict[str, int] = {}
    versions: dict[str, str] = {}
    """Package → version that it was trained with."""
    created_at: str
    """RFC 3339, UTC."""
    card: dict[str, Any] = {}
    """What else the model card tells."""
    files: dict[str, Sha256]


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """An adapter whose folder was verified."""

    path: Path
    manifest: Manifest
    manifest_hash: str
    """SHA-256 of `manifest.json`, and so of everything in the folder."""

    @property
    def name(self) -> AdapterName:
        return AdapterName(self.manifest.name)

    @property
    def rank(self) -> int:
        """The largest of its modules' ranks."""
        config = json.loads((self.path / CONFIG).read_bytes())
        return int(max([config["r"], *(config.get("rank_pattern") or {}).values()]))

    @property
    def job(self) -> JobId | None:
        return None if self.manifest.job is None else JobId(self.manifest.job)


def adapter_hash(files: Mapping[str, str]) -> str:
    """The hash of an adapter from those of its weights and configuration."""
    return hashlib.sha256(f"{files[WEIGHTS]} {files[CONFIG]}".encode()).hexdigest()


def adapter_names(folder: Path) -> list[str]:
    """Names of the adapters in the adapters' folder, none where that is missing; nothing is verified."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_dir())


def find_adapter(name: str, folder: Path) -> AdapterFolder:
    """The adapter of exactly this name below the adapters' folder, verified.

    Raises:
        AdapterError: there is none, with the nearest name, or it is not what it was published as.
    """
    known = adapter_names(folder)
    if name not in known:
        what = near_match(name, known) or "; no adapter is in that folder yet"
        raise AdapterError(f"{folder}: no adapter is called {name!r}{what}")
    return verify(folder / name)


def verify(folder: Path, *, manifest_hash: str | None = None) -> AdapterFolder:
    """Read an adapter's folder and hold every file in it against its manifest.

    `manifest_hash`: what is known of the manifest from elsewhere (the registry). Without it, a manifest that was
    replaced together with everything it lists cannot be told.

    Raises:
        AdapterError: all that is wrong.
    """
    if not folder.is_dir():
        raise AdapterError(f"{folder}: there is no such folder of an adapter")
    manifest, found_hash = _manifest(folder)
    wrong = [*_name_problems(folder, manifest), *_file_problems(folder, manifest)]
    if manifest_hash is not None and found_hash != manifest_hash:
        wrong.append(f"{MANIFEST}: its hash is {found_hash[:12]}…, expected {manifest_hash[:12]}…: it was changed")
    if not wrong:
        try:
            read_tensors(folder / WEIGHTS)
        except AdapterError as error:
            wrong.append(str(error))
    if wrong:
        raise AdapterError(_listed(f"{folder}: is not what it was published as", wrong))
    return AdapterFolder(folder, manifest, found_hash)


def _listed(what: str, wrong: Sequence[str]) -> str:
    return "\n".join([f"{what}:", *(f"  {problem}" for problem in wrong)])


def _manifest(folder: Path) -> tuple[Manifest, str]:
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.stat().st_size > _LARGEST_MANIFEST:
            raise AdapterError(f"{path}: expected a file of at most {_LARGEST_MANIFEST} bytes")
        text = path.read_bytes()
        return Manifest.model_validate_json(text), hashlib.sha256(text).hexdigest()
    except FileNotFoundError:
        raise AdapterError(f"{folder}: is no adapter's folder, or was not published whole: no {MANIFEST}") from None
    except OSError as error:
        raise AdapterError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        wrong = [f"{'.'.join(map(str, it['loc'])) or 'the file'}: {it['msg']}" for it in details]
        raise AdapterError(_listed(f"{path}: is no manifest", wrong)) from None


def _name_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Folder, manifest and content must bear one name."""
    if manifest.name != folder.name:
        yield f"{MANIFEST}: name: found {manifest.name!r}, expected {folder.name!r}, as the folder is called"
    name = NAME.fullmatch(folder.name)
    if name is None:
        yield f"expected a name like refund-v1-3fa9, found {folder.name!r}"
    elif not manifest.hash.startswith(name["digits"]):
        yield f"its name ends in {name['digits']}, but the hash in its manifest begins with {manifest.hash[:12]}"
    if not {WEIGHTS, CONFIG, CARD} <= set(manifest.files):
        yield f"{MANIFEST}: files: expected {WEIGHTS}, {CONFIG} and {CARD}, found {', '.join(sorted(manifest.files))}"
    elif adapter_hash(manifest.files) != manifest.hash:
        yield f"{MANIFEST}: hash: is not that of the files it lists"


def _file_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    present = {path.name: path for path in folder.iterdir()}
    for name, expected in sorted(manifest.files.items()):
        path = present.get(name)
        if path is None:
            yield f"{name}: is missing"
        elif not stat.S_ISREG(path.lstat().st_mode):
            yield f"{name}: expected a file, found a link or something else"
        elif (found := file_hash(path)) != expected:
            yield f"{name}: was changed: its hash is {found[:12]}…, expected {expected[:12]}…"
    for name in sorted(set(present) - set(manifest.files) - {MANIFEST}):
        pickled = ", and is a pickle, which can run code when it is loaded" if name.endswith(PICKLES) else ""
        yield f"{name}: is not in the manifest{pickled}"
