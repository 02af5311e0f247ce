"""The command line and the environment of a vLLM server."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from agentkit.errors import EngineError
from agentkit.serve.precision import Precision, cpu_precision

MISSING = (
    "vLLM is not installed in this Python environment: run `make setup` in a checkout, or "
    "`pip install 'agentkit-reliability[serve-cpu]'` (`[serve]` on a machine with an NVIDIA GPU)"
)
# Without the first, a small model that is held to JSON writes white space until its tokens run out. (Arguments of tool
# calls are held to their schema as well, by the strict level below, whether or not a request asks for it.)
STRUCTURED_OUTPUTS = {"disable_any_whitespace": True, "backend": "xgrammar"}
SEPARATORS = (",", ":")
"""Between the tokens of JSON that a server started so writes; training writes the same."""
# With the `uni` executor, the CPU build computes in its engine process instead of in one of its own: it starts in 34
# seconds instead of 56 on two cores, takes half a gigabyte less, and is as fast. A prompt that is read in pieces kills
# it where the request has a seed ("CPU Generator does not use offset"); to read prompts whole costs nothing that could
# be measured at short ones, and a tenth of the time at sixteen long ones at once.
_CPU_ARGUMENTS = ("--distributed-executor-backend", "uni", "--no-enable-chunked-prefill")
_ONE_WORKER_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
_SOON_ASLEEP = {"KMP_BLOCKTIME": "1"}
"""Milliseconds for which threads of Intel's OpenMP spin before they sleep. With its own 200, servers that compute side
by side keep each other from it: two of them took 1.4 times as long for 64 requests. To one alone it makes no
difference, where none at all makes it take 1.3 times as long."""
_TRACING = {"OTEL_SERVICE_NAME": "vllm", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How vLLM runs. The defaults start fast and keep some 16 short conversations going on two cores."""

    max_model_len: int = 4096
    """Longest conversation, in tokens, answer included."""
    max_num_seqs: int = 16
    """Requests answered at the same time; further ones wait."""
    kv_cache_gib: int = 2
    """Memory for the keys and values of running conversations on a CPU; a GPU takes what is free."""
    start_timeout: float = 600.0
    """Seconds after which a server that does not answer is given up."""
    threads: int | None = None
    """Of the computation on a CPU. None: all cores with Intel's OpenMP library, whose threads soon sleep where they
    wait; without it all but one, which is left to whoever asks: threads of GCC's that have to share their cores slow
    each other down several times over."""
    max_loras: int = 0
    """Adapters that one batch may use, applied to requests as they come; 0: none can be loaded."""
    max_cpu_loras: int = 0
    """Adapters that are kept in memory; at least `max_loras`."""
    max_lora_rank: int = 16
    """Of any adapter that is to be loaded: 1, 8, 16, 32, 64, 128, 256, 320 or 512."""
    speculative: Mapping[str, Any] | None = None
    """vLLM's `--speculative-config`; None: each token is computed by itself."""
    arguments: tuple[str, ...] = ()
    """Further arguments of `vllm serve`; they win over the others."""


def vllm_command(model: str, name: str, port: int, settings: EngineSettings) -> list[str]:
    """The program and its arguments; the API key is not among them, since everyone can read those.

    Raises:
        EngineError: vLLM is not installed.
    """
    traces = traces_endpoint(os.environ)
    return [
        *_program(),
        *("--model", model, "--served-model-name", name),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--max-model-len", str(settings.max_model_len), "--max-num-seqs", str(settings.max_num_seqs)),
        "--enforce-eager",  # compiling takes minutes, at the first start on a machine
        "--disable-uvicorn-access-log",  # two lines a second from `/health` alone, as long as it runs
        *("--structured-outputs-config", json.dumps(STRUCTURED_OUTPUTS)),
        *("--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--tool-strict-level", "parameter"),
        *("--chat-template-content-format", "string"),
        *(_CPU_ARGUMENTS if is_cpu_build() else ()),
        *(("--dtype", "float32") if precision() == "float32" else ()),
        *(("--otlp-traces-endpoint", traces) if traces else ()),
        *_lora(settings),
        *(("--speculative-config", json.dumps(settings.speculative)) if settings.speculative else ()),
        *settings.arguments,
    ]


def _lora(settings: EngineSettings) -> tuple[str, ...]:
    if not settings.max_loras:
        return ()
    kept = max(settings.max_cpu_loras, settings.max_loras)
    return (
        *("--enable-lora", "--max-lora-rank", str(settings.max_lora_rank)),
        *("--max-loras", str(settings.max_loras), "--max-cpu-loras", str(kept)),
    )


def is_cpu_build() -> bool:
    """Whether the vLLM that is installed is the one for machines without a GPU, a distribution of its own.

    Raises:
        EngineError: none is installed.
    """
    if importlib.util.find_spec("vllm") is None:
        raise EngineError(MISSING)
    try:
        metadata.version("vllm")
    except metadata.PackageNotFoundError:
        return True
    return False


def precision() -> Precision:
    """In which models are served and trained here. Raises EngineError as `is_cpu_build`."""
    return cpu_precision() if is_cpu_build() else "bfloat16"


def computing(settings: EngineSettings) -> dict[str, str]:
    """What of the computation may change an answer, beside the versions of what is installed: `precision`,
    `speculation` where tokens are guessed, and a hash of the user's own `arguments` where there are any, since these
    may hold secrets. Raises EngineError as `is_cpu_build`."""
    words = [part for argument in settings.arguments for part in argument.split("=", 1)]
    told = dict(itertools.pairwise(words))
    found = {"precision": told.get("--dtype", precision())}
    if (guesses := settings.speculative) is not None:
        found["speculation"] = str(guesses.get("model", guesses["method"]))
    if settings.arguments:
        found["arguments"] = hashlib.sha256(json.dumps(settings.arguments).encode()).hexdigest()[:12]
    return found


def _program() -> list[str]:
    if is_cpu_build():  # in which `vllm serve` fails, since it looks the other distribution up
        return [sys.executable, "-P", "-m", "vllm.entrypoints.openai.api_server"]
    return [sys.executable, "-P", "-m", "vllm.entrypoints.cli.main", "serve"]


def vllm_environment(model: str, api_key: str, settings: EngineSettings) -> dict[str, str]:
    """This process's environment and what vLLM takes from there alone."""
    offline = {"HF_HUB_OFFLINE": "1"} if Path(model).is_dir() else {}
    preloaded = _preloaded()
    cores = os.cpu_count() or 1
    threads = settings.threads or (cores if preloaded else max(1, cores - 1))
    # With the variable set, whoever holds the key can load adapters; only this process does.
    loading = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"} if settings.max_loras else {}
    return {
        "OMP_NUM_THREADS": str(threads),
        **(_SOON_ASLEEP if preloaded else {}),
        **os.environ,
        **offline,
        **loading,
        **preloaded,
        **_ONE_WORKER_PROCESS,
        **_TRACING,
        "VLLM_API_KEY": api_key,
        "VLLM_CPU_KVCACHE_SPACE": str(settings.kv_cache_gib),
        "VLLM_NO_USAGE_STATS": "1",
    }


def intel_openmp() -> Path | None:
    """Intel's OpenMP library of this Python environment (`intel-openmp`, which comes with the CPU build)."""
    found = Path(sys.prefix) / "lib" / "libiomp5.so"
    return found if found.is_file() else None


def can_speculate() -> bool:
    """Whether vLLM may guess tokens here: on a CPU of Intel's kind it would be many times slower without that library.

    Raises EngineError as `is_cpu_build`.
    """
    wanted = is_cpu_build() and platform.machine() in ("x86_64", "AMD64")
    return not wanted or intel_openmp() is not None


def _preloaded() -> dict[str, str]:
    """That library before all others, where it is: a server that speculated on busy cores wrote 2 tokens a second
    without it and 46 with it, one run after the other."""
    library = intel_openmp()
    if library is None or not is_cpu_build():
        return {}
    return {"LD_PRELOAD": ":".join([str(library), *os.environ.get("LD_PRELOAD", "").split()])}


def traces_endpoint(environment: Mapping[str, str]) -> str | None:
    """Where the standard OpenTelemetry variables want traces sent over HTTP; None where they name no place."""
    if exact := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return exact
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return f"{base.rstrip('/')}/v1/traces" if base else None
