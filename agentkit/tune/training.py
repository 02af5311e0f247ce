"""The phases of a job, each trained by a program of its own that can be killed and taken up again, and that ends with
the job."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from agentkit.config import Sampling
from agentkit.errors import AgentkitError
from agentkit.files import write_json
from agentkit.serve.command import precision
from agentkit.serve.process import end_kept, spawn_kept
from agentkit.tune.phase import (
    ADAPTER,
    RENDEZVOUS,
    RESULT,
    STACKED_RESULT,
    TOKENS,
    TRACEPARENT,
    Lora,
    Method,
    Phase,
)
from agentkit.tune.settings import JobSettings

PREFERENCES = "preferences.jsonl"
_LOG = "train{}.log"
"""What a process says; of several, each has its own."""
_PROGRAM = (sys.executable, "-P", "-m", "agentkit.tune.trainer")
_LOOK = 0.5
"""Seconds between two looks at the progress."""
_LINES = 12
"""Of what the program said, that an error shows."""

Listener = Callable[[Mapping[str, Any]], None]
"""Told each line of a training's progress."""


def plan_phases(
    method: str, under: Path, model: Path, sampling: Sampling, settings: JobSettings, context: int
) -> list[tuple[Path, Phase]]:
    """The folder and the settings of each phase, in order; a later one goes on with the adapter of the one before.

    `under`: folder of this training, in the job's. `context`: tokens of a prompt and its answer, as served.
    """
    phases: list[tuple[Path, Phase]] = []
    start: str | None = None
    for number, name in enumerate(method.split("+")):
        folder = under / f"{number}-{name}"
        phase = _phase(name, under.parent, model, start, sampling, settings)  # type: ignore[arg-type]
        phases.append((folder, phase.model_copy(update={"context": context})))
        start = str(folder / ADAPTER)
    return phases


def _phase(
    method: Method, job: Path, model: Path, start: str | None, sampling: Sampling, settings: JobSettings
) -> Phase:
    shared: dict[str, Any] = {
        "method": method,
        "model": str(model),
        "prompts": str(job / "prompts.jsonl"),
        "start": start,
        "seed": settings.training_seed,
        "lora": Lora(rank=settings.rank, alpha=2 * settings.rank),
        "max_tokens": sampling.max_tokens or 256,
        "dtype": precision(),
        "frequency_penalty": float(sampling.extra_body.get("frequency_penalty", 0.0)),
        "evaluate_every": settings.evaluate_every,
        "patience": settings.patience,
    }
    own: dict[str, Any]
    if method == "sft":
        own = {"learning_rate": settings.sft_rate, "epochs": settings.sft_epochs, "batch": settings.sft_batch}
    elif method == "grpo":
        own = {
            "learning_rate": settings.grpo_rate,
            "steps": settings.grpo_steps,
            "batch": settings.grpo_prompts,
            "group": settings.grpo_group,
            "beta": settings.grpo_beta,
            "generation": settings.generation,
            "rubric": settings.rubric,
            "rewards": settings.rewards,
        }
    else:
        own = {
            "learning_rate": settings.preference_rate,
            "epochs": settings.preference_epochs,
            "beta": settings.preference_beta,
            "preferences": str(job / PREFERENCES),
        }
    return Phase(**shared, **own)


def train_phase(
    folder: Path,
    phase: Phase,
    listener: Listener,
    environment: Mapping[str, str] | None = None,
    processes: int = 1,
    shared: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """Train until it is done, and give what came of it. A phase that is done is not done again.

    `processes`: how many train together, each on a GPU of its own where there are any. `shared`: more variables for
    all of them; `environment`: for the first, such as the span that it records its own below.

    Raises:
        AgentkitError: the training failed; with the end of what it said.
    """
    phase.write(folder)
    _run("train", folder, listener, environment or {}, processes=processes, shared=shared or {})
    found: dict[str, Any] = orjson.loads((folder / RESULT).read_bytes())
    return found


def pass_over(folder: Path, phase: Phase, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out a phase that has nothing to put right, since the one before it left nothing; its result says so."""
    start = next(it for it in before["evaluations"] if it["step"] == before["best"])
    result = {
        "method": phase.method,
        "best": 0,
        "stopped": before["nothing_left"],
        "nothing_left": before["nothing_left"],
        "evaluations": [{**start, "step": 0}],
        "seconds": {},
        "processes": 0,
        "versions": before["versions"],
    }
    phase.write(folder)
    write_json(folder / RESULT, result)
    return result


def render_prompts(folder: Path, phase: Phase) -> Mapping[str, Any]:
    """`prompts`: prompt id → token ids; `golden`: prompt id → tokens of its golden answer. Raises as `train_phase`."""
    phase.write(folder)
    _run("render", folder, lambda _: None, {})
    found: dict[str, Any] = orjson.loads((folder / TOKENS).read_bytes())
    return found


def weaken_adapter(folder: Path, drop: float) -> None:
    """Leave a part of the adapter that `phase.json` starts from in `folder`, which answers about a share `drop` fewer
    of the prompts rightly. Raises as `train_phase`."""
    _run("weaken", folder, lambda _: None, {}, str(drop))


def stack_adapters(folder: Path, base: Path, below: Path, max_rank: int | None) -> Mapping[str, Any]:
    """A phase's adapter and the one on top of which it was trained, `below`, as one adapter of `base`, of at most
    `max_rank`, in `stacked` of the folder. Made once; raises as `train_phase`.

    Gives the `rank`, that of the `whole` sum, and the share of its squared norm that was `kept`.
    """
    if not (folder / STACKED_RESULT).is_file():
        most = () if max_rank is None else (str(max_rank),)
        _run("stack", folder, lambda _: None, {}, str(base), str(below), *most)
    found: dict[str, Any] = orjson.loads((folder / STACKED_RESULT).read_bytes())
    return found


def _run(
    verb: str,
    folder: Path,
    listener: Listener,
    environment: Mapping[str, str],
    *arguments: str,
    processes: int = 1,
    shared: Mapping[str, str] | None = None,
) -> None:
    progress, logs = folder / "progress.jsonl", [folder / _LOG.format(rank or "") for rank in range(processes)]
    told = progress.stat().st_size if progress.is_file() else 0
    known = {name: value for name, value in os.environ.items() if name != TRACEPARENT}  # not somebody else's span
    known |= {"HF_HUB_OFFLINE": "1", **(shared or {})}
    with tempfile.TemporaryDirectory() as meeting:
        started: list[subprocess.Popen[bytes]] = []
        try:
            for rank, log in enumerate(logs):
                own = {**known, **_rank(rank, processes, Path(meeting)), **({} if rank else environment)}
                started.append(_start([*_PROGRAM, verb, str(folder), *arguments], own, log))
            while None in (codes := [it.poll() for it in started]) and not any(codes):
                time.sleep(_LOOK)
                told = _tell(progress, told, listener)
        finally:
            end_kept(*started)
    _tell(progress, told, listener)
    # One that lost the others crashes, with 1; what the first of them failed by is another code.
    for code, log in sorted(zip(codes, logs, strict=True), key=lambda it: it[0] == 1):
        if code:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:]
            end = "\n".join(f"  {line}" for line in lines)
            raise AgentkitError(f"training in {folder} ended with exit code {code}; it said:\n{end}")


def _start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return spawn_kept(command, environment, output)


def _rank(rank: int, size: int, meeting: Path) -> dict[str, str]:
    """What a process of several is told: which it is, as `torchrun` says it, and where it meets the others."""
    if size == 1:
        return {}
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    cores = max(1, (os.cpu_count() or 1) // size)
    loopback = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    usual = {"OMP_NUM_THREADS": str(cores), **loopback}
    return {
        **{name: value for name, value in usual.items() if name not in os.environ},
        **{name: str(value) for name, value in names.items()},
        RENDEZVOUS: f"file://{meeting}/ranks",
    }


def _tell(file: Path, told: int, listener: Listener) -> int:
    """Tell the whole lines after the byte `told`, and give where the next begin."""
    if not file.is_file():
        return told
    with file.open("rb") as stream:
        stream.seek(told)
        content = stream.read()
    whole = content.rfind(b"\n") + 1
    for line in content[:whole].splitlines():
        listener(orjson.loads(line))
    return told + whole


def spent(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds by part of the work, over all phases."""
    total: dict[str, float] = {}
    for result in results:
        for part, seconds in result["seconds"].items():
            total[part] = round(total.get(part, 0.0) + seconds, 1)
    return total
