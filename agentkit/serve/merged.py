"""The embedded model with adapters in its weights: merged once for each user, and then as quick as the model itself.

On a CPU a server that applies an adapter to each request is several times slower. Merging needs torch, so it runs in
a process of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from agentkit.errors import AdapterError, EngineError
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.attest import share_merged
from agentkit.serve.cache import cache_folder
from agentkit.serve.model_hash import content_hash

PROGRAM = (sys.executable, "-P", "-m", "agentkit.tune.merge")
"""Called with the base model's folder, those of the adapters, and the one to write, which is not there yet."""
_SOURCE = Path(__file__).parents[1] / "tune" / "merge.py"
_SHARES = (0.1, 1.5)
"""How much of the adapters' changes may be found in merged weights: 0 is none of them, 1 all, 2 all of them twice."""
_WHOLE = 0.8
"""Below this it is told that rounding took some: half precision has no room for changes far smaller than a weight."""
_LINES = 15
"""Of what the program said, that an error shows."""


def merged_name(base: str, adapters: Sequence[AdapterFolder]) -> str:
    """What a model with adapters in its weights is called: `base+refund-v1-3fa9`."""
    return "+".join([base, *(adapter.name for adapter in adapters)])


def merged_model(
    base: Path, adapters: Sequence[AdapterFolder], *, on_progress: Callable[[str], None] | None = None
) -> Path:
    """The folder of the model `base` with the changes of `adapters` in its weights, made at the first call.

    Its name holds a hash of model, adapters and the program that merges, so that it never changes once it is there. Two
    processes may make it at once: the first to finish puts it in place.

    Raises:
        AdapterError: an adapter is for another model.
        EngineError: merging failed, or the adapters' changes are not in what came of it.
    """
    base_hash = content_hash(base)
    for adapter in adapters:
        if adapter.manifest.base_hash != base_hash:
            raise AdapterError(
                f"adapter {adapter.name} is for {adapter.manifest.base} with another hash: found {base_hash[:12]}…, "
                f"expected {adapter.manifest.base_hash[:12]}…, in {base}"
            )
    parts = [base_hash, *(adapter.manifest.hash for adapter in adapters), _program_hash()]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    folder = cache_folder() / "models" / f"{merged_name(base.name, adapters)[:160]}-{key[:12]}"
    if not folder.is_dir():
        if on_progress is not None:
            on_progress(f"merging {', '.join(adapter.name for adapter in adapters)} into {folder}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        share = _make(base, adapters, folder)
        if share < _WHOLE and on_progress is not None:
            on_progress(
                f"only {share:.0%} of what the adapters change is left in the merged weights: the rest was too small "
                "for their precision and was rounded away"
            )
    return folder


def _program_hash() -> str:
    try:
        return hashlib.sha256(_SOURCE.read_bytes()).hexdigest()
    except OSError:
        raise EngineError(f"adapters cannot be merged: {_SOURCE.name} is missing from this installation") from None


def _make(base: Path, adapters: Sequence[AdapterFolder], folder: Path) -> float:
    """Merge into a folder beside the final one, attest it, and rename. Gives how much of the changes is in it."""
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:80]}-"))
    try:
        made = draft / "model"
        _run(base, adapters, made)
        share = share_merged(base, made, [it.path for it in adapters])
        if not _SHARES[0] <= share <= _SHARES[1]:
            names = ", ".join(adapter.name for adapter in adapters)
            raise EngineError(
                f"merging failed: {round(share, 2) + 0.0:.0%} of the changes of {names} are in the merged weights, "
                "expected about 100%"
            )
        try:
            os.rename(made, folder)
        except OSError:
            if not folder.is_dir():  # else another process was first, with the same content
                raise
        return share
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run(base: Path, adapters: Sequence[AdapterFolder], made: Path) -> None:
    command = [*PROGRAM, str(base), *(str(it.path) for it in adapters), str(made)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
        env=environment,
    )
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip().splitlines()[-_LINES:]
        raise EngineError("\n".join(["the adapters could not be merged (is the extra `tune` installed?):", *said]))
    missing = [name for name in ("config.json", "tokenizer.json") if not (made / name).is_file()]
    if missing or not any(made.glob("*.safetensors")):
        raise EngineError(f"merging wrote no whole model: {', '.join(missing or ['*.safetensors'])} is missing")
