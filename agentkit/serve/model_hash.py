"""What a model's folder holds, as one hash: the same weights, configuration and tokenizer give the same."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

import orjson

from agentkit.errors import AdapterError
from agentkit.serve.cache import cache_folder

_PARTS = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "chat_template*",
)
"""Names of the files that decide what the model answers."""
_LARGE = 16 * 1024 * 1024
"""Bytes from which on a file's hash is kept: it takes longer than a look at the folder."""
_SETTLED = 2 * 10**9
"""Nanoseconds after which a file that was just written is taken as finished: its time of change may be coarse."""


def content_hash(folder: Path) -> str:
    """SHA-256, 64 hexadecimal digits, of a model's weights, configuration and tokenizer.

    The hashes of large files are kept in the user's cache as long as size and time of change stay as they are.

    Raises:
        AdapterError: the folder holds no model.
    """
    files = sorted({path for part in _PARTS for path in folder.glob(part) if path.is_file()})
    names = {path.name for path in files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise AdapterError(f"{folder}: expected a model's folder, with config.json and *.safetensors")
    known, kept, lines = _kept(folder), {}, []
    for path in files:
        stat = path.stat()
        stamp = f"{path.name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
        found = known.get(stamp) or file_hash(path)
        lines.append(f"{path.name} {found}\n")
        if stat.st_size >= _LARGE and time.time_ns() - stat.st_mtime_ns > _SETTLED:
            kept[stamp] = found
    if kept != known:
        _keep(folder, kept)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(folder: Path) -> Path:
    return cache_folder() / "hashes" / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]}.json"


def _kept(folder: Path) -> dict[str, str]:
    try:
        found = orjson.loads(_place(folder).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(stamp): str(it) for stamp, it in found.items()} if isinstance(found, dict) else {}


def _keep(folder: Path, hashes: dict[str, str]) -> None:
    """Write the cache whole; where it cannot be written, the next one counts again."""
    place = _place(folder)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=place.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps(hashes))
        os.replace(draft, place)
    except OSError:
        return
