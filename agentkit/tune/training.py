"""The phases of a job, each trained by a program of its own that can be killed and taken up again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from agentkit.config import Sampling
from agentkit.errors import AgentkitError
from agentkit.serve.command import precision
from agentkit.tune.phase import ADAPTER, RESULT, TOKENS, TRACEPARENT, Lora, Method, Phase
from agentkit.tune.settings import JobSettings

PREFERENCES = "preferences.jsonl"
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
    folder: Path, phase: Phase, listener: Listener, environment: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """Train until it is done, and give what came of it. A phase that is done is not done again.

    `environment`: more variables for the program, such as the span that it records its own below.

    Raises:
        AgentkitError: the training failed; with the end of what it said.
    """
    phase.write(folder)
    _run("train", folder, listener, environment or {})
    found: dict[str, Any] = orjson.loads((folder / RESULT).read_bytes())
    return found


def render_prompts(folder: Path, phase: Phase) -> Mapping[str, Any]:
    """`prompts`: prompt id → token ids; `golden`: prompt id → tokens of its golden answer. Raises as `train_phase`."""
    phase.write(folder)
    _run("render", folder, lambda _: None, {})
    found: dict[str, Any] = orjson.loads((folder / TOKENS).read_bytes())
    return found


def weaken_adapter(folder: Path, goal: float) -> None:
    """Leave a part of the adapter that `phase.json` starts from in `folder`, which answers about the share `goal` of
    the prompts rightly. Raises as `train_phase`."""
    _run("weaken", folder, lambda _: None, {}, str(goal))


def _run(verb: str, folder: Path, listener: Listener, environment: Mapping[str, str], *arguments: str) -> None:
    progress, log = folder / "progress.jsonl", folder / "train.log"
    told = progress.stat().st_size if progress.is_file() else 0
    known = {name: value for name, value in os.environ.items() if name != TRACEPARENT}  # not somebody else's span
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_PROGRAM, verb, str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**known, "HF_HUB_OFFLINE": "1", **environment},
        )
        try:
            while process.poll() is None:
                time.sleep(_LOOK)
                told = _tell(progress, told, listener)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    _tell(progress, told, listener)
    if process.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:]
        end = "\n".join(f"  {line}" for line in lines)
        raise AgentkitError(f"training in {folder} ended with exit code {process.returncode}; it said:\n{end}")


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
