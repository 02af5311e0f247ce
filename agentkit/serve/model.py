"""The model that a configuration names: a folder on this machine, and a vLLM that serves it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentkit.config import EMBEDDED, EngineOptions
from agentkit.errors import EngineError, near_match
from agentkit.serve import embedded
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.command import EngineSettings, can_speculate
from agentkit.serve.drafter import LOOKUP
from agentkit.serve.engine import Endpoint, Engine
from agentkit.serve.merged import merged_model, merged_name

_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
"""What is taken from a hub: neither programs nor pickles, which could run code."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Weights and tokenizer on this machine."""

    name: str
    """What requests call it."""
    folder: Path


def model_name(model: str) -> str:
    """What the model of a configuration is called: the last part of its folder or of its name in a hub."""
    return embedded.NAME if model == EMBEDDED else Path(model.partition("@")[0]).name


def served_model(model: str, *, on_progress: Callable[[str], None] | None = None) -> ServedModel:
    """The model on this machine; the embedded one is converted and one of a hub downloaded at the first call.

    Args:
        model: `embedded`; a folder with config.json, weights as safetensors and a tokenizer; or a name in the Hugging
            Face hub, `OWNER/NAME` or `OWNER/NAME@REVISION`.

    Raises:
        EngineError: there is no such model, or it cannot be had; says why.
    """
    name = model_name(model)
    if model == EMBEDDED:
        return ServedModel(name, embedded.embedded_model(on_progress=on_progress))
    folder = Path(model)
    if not folder.is_dir():
        if model.startswith((".", "/", "~")) or model.count("/") != 1:
            raise EngineError(f"model {model}: there is no such folder{near_match(model, [EMBEDDED])}")
        folder = _downloaded(model, on_progress)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise EngineError(f"model {model}: expected config.json and *.safetensors in {folder}")
    return ServedModel(name, folder)


def _downloaded(model: str, on_progress: Callable[[str], None] | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise EngineError(f"model {model}: a hub's models need the extra `serve` or `serve-cpu`") from None
    repository, _, revision = model.partition("@")
    if on_progress is not None:
        on_progress(f"looking for {model} in the model hub and its cache")
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EngineError(f"model {model}: it is neither a folder here nor to be had from the hub: {said}") from None


@contextmanager
def model_endpoint(
    model: ServedModel,
    *,
    adapters: Sequence[AdapterFolder] = (),
    settings: EngineSettings | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Iterator[Endpoint]:
    """Serve a model with vLLM as long as the `with` block runs, with the changes of `adapters` in its weights.

    Raises:
        EngineError: vLLM is missing, or the model could not be merged or served.
        AdapterError: an adapter is for another model.
    """
    folder = merged_model(model.folder, adapters, on_progress=on_progress) if adapters else model.folder
    name = merged_name(model.name, adapters)
    with Engine(folder, name=name, settings=settings, on_progress=on_progress) as endpoint:
        yield endpoint


def engine_settings(
    options: EngineOptions, replicas: int = 1, speculative: Mapping[str, Any] | None = None
) -> EngineSettings:
    """How each of so many servers on this machine runs. Several share its cores."""
    cores = os.cpu_count() or 1
    room = options.live_adapters + 1 if options.live_adapters else 0
    return EngineSettings(
        max_model_len=options.max_model_len,
        max_num_seqs=options.max_num_seqs,
        kv_cache_gib=options.kv_cache_gib,
        start_timeout=options.start_timeout,
        threads=max(1, cores // replicas) if replicas > 1 else None,
        max_loras=room,
        max_cpu_loras=room,
        max_lora_rank=options.max_lora_rank,
        speculative=speculative,
        arguments=options.arguments,
    )


def speculating(tell: Callable[[str], None] | None = None) -> Mapping[str, Any] | None:
    """vLLM's `--speculative-config` for guessing by look-up; None, and `tell` is told why, where it cannot be had."""
    if can_speculate():
        return LOOKUP
    if tell is not None:
        tell("speculation stays off: without Intel's OpenMP library it is many times slower (pip install intel-openmp)")
    return None


def playing_settings(options: EngineOptions, tell: Callable[[str], None] | None = None) -> EngineSettings:
    """Of a server that one agent plays against: what it is given of adapters is in its weights. `tell`: as above."""
    speculative = speculating(tell) if options.turbo == "on" else None
    return replace(engine_settings(options, speculative=speculative), max_loras=0, max_cpu_loras=0)
