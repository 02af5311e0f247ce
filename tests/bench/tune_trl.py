"""The benchmark: reinforcement of the shipped refund by our trainer and by a plain TRL script (see README.md).

python -m tests.bench.tune_trl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agentkit.serve import embedded_model
from agentkit.tune.compile import CompileSettings
from agentkit.tune.phase import Phase
from agentkit.tune.prompt import write_prompts
from tests.tune.compiled import ROOT, compiled, target

LIMIT = 0.5
"""At most this much of the plain script's time."""
PARTS = ("generation", "reward", "forward and backward", "evaluation", "loading")
LEGS = {
    "agentkit": [sys.executable, "-W", "ignore", "-m", "tests.bench.trainer_leg"],
    "trl": [sys.executable, "-W", "ignore", "-m", "tests.bench.plain_trl"],
}

_QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
_CLOCKS = {"wall": {}, "cpu": {"BENCH_CLOCK": "cpu", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}}
"""Threads that wait for each other count as work, so that a processor's seconds are of one thread."""


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """The same phase in a folder of each leg: data of the shipped suite, prompts as the agent `demo` sends them."""
    data = asyncio.run(compiled(target(), settings=CompileSettings(train=16, validation=options.validation, seed=3)))
    write_prompts(data.prompts, folder / "prompts.jsonl")
    phase = Phase(
        method="grpo",
        model=str(options.model or embedded_model()),
        prompts=str(folder / "prompts.jsonl"),
        rubric="tool_call",
        rewards=str(ROOT / "rewards"),
        learning_rate=5e-4,
        steps=options.updates,
        batch=2,
        group=8,
        beta=0.02,
        frequency_penalty=0.4,
        max_tokens=100,
        rollout_tokens=options.tokens,
        evaluate_every=options.evaluate_every or options.updates,
        patience=99,
        resample=options.resample,
    )
    for leg in LEGS:
        phase.write(folder / leg)


def measure(leg: str, folder: Path, clock: str, target: float) -> dict[str, Any]:
    """Train to the end in a process of its own, the plain script until so many prompts are right; seconds of the whole,
    by part, and at each evaluation."""
    begin, used = time.monotonic(), _cpu()
    with (folder / "log").open("wb") as log:
        subprocess.run(
            [*LEGS[leg], str(folder)],
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_QUIET, **_CLOCKS[clock], "BENCH_TARGET": str(target)},
            cwd=ROOT,
        )
    wall = time.monotonic() - begin
    found: dict[str, Any] = json.loads((folder / "result.json").read_bytes())
    evaluations = found["evaluations"]
    if leg == "agentkit":
        lines = [json.loads(line) for line in (folder / "progress.jsonl").read_bytes().splitlines()]
        evaluations = [it for it in lines if it["event"] == "evaluation"]
    done = evaluations[-1]["step"]
    work = sum(found["seconds"].get(part, 0.0) for part in PARTS[:3])
    return {
        "updates": done,
        "wall": wall,
        "cpu": _cpu() - used,
        "seconds": {part: found["seconds"].get(part, 0.0) for part in PARTS},
        "seconds_per_update": work / done,
        "evaluations": [{key: it[key] for key in ("step", "passed", "graded", "seconds")} for it in evaluations],
        "reward": sum(found["rewards"]) / max(len(found["rewards"]), 1),
    }


def _cpu() -> float:
    """Seconds that processes which were waited for spent on processors: a busy neighbour adds little to them."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def reached(leg: dict[str, Any], share: float) -> float | None:
    """Seconds until so many of the validation prompts were answered right; None where they never were."""
    return next((it["seconds"] for it in leg["evaluations"] if it["passed"] >= share * it["graded"]), None)


def time_to(share: float, ours: dict[str, Any], plain: dict[str, Any]) -> tuple[float | None, bool]:
    """Our time to an accuracy by the plain script's, and whether that is the most it can be, since the plain script had
    not come so far when it ended. None where we did not."""
    first, second = reached(ours, share), reached(plain, share)
    if first is None:
        return None, False
    return first / (second or plain["evaluations"][-1]["seconds"]), second is None


def table(result: dict[str, Any]) -> str:
    lines = [
        f"{'':<10} {'s/update':>9} {'CPU s in all':>13} "
        + " ".join(f"{part:>21}" for part in PARTS)
        + "   right after updates"
    ]
    for name, leg in result["legs"].items():
        parts = " ".join(f"{leg['seconds'][part]:>21.1f}" for part in PARTS)
        right = ", ".join(f"{it['passed']}/{it['graded']} at {it['step']}" for it in leg["evaluations"])
        lines.append(f"{name:<10} {leg['seconds_per_update']:>9.1f} {leg['cpu']:>13.1f} {parts}   {right}")
    for what, ratio in result["ratios"].items():
        shown = "not reached" if ratio is None else f"{ratio:.2f}, limit {LIMIT}"
        lines.append(f"agentkit / trl, {what}: {shown}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=16)
    parser.add_argument("--evaluate-every", type=int, default=0, help="0: at the start and at the end")
    parser.add_argument("--validation", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=60, help="of a completion, in both legs")
    parser.add_argument("--resample", type=int, default=0, help="as a job has it: 1; TRL replaces no group")
    parser.add_argument("--target", type=float, default=0.75, help="share right, for the time to an accuracy")
    parser.add_argument("--clock", choices=_CLOCKS, default="wall", help="cpu: of one thread, for a busy machine")
    parser.add_argument("--legs", nargs="+", choices=LEGS, default=list(LEGS))
    parser.add_argument("--model", type=Path, help="folder of a model other than the embedded one")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true", help="exit status 1 where the limit is exceeded")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="tune-trl-"))
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, options)
    legs = {leg: measure(leg, folder / leg, options.clock, options.target) for leg in options.legs}
    ratios: dict[str, float | None] = {}
    if set(legs) == set(LEGS):
        ours, plain = legs["agentkit"], legs["trl"]
        ratios["an update"] = ours["seconds_per_update"] / plain["seconds_per_update"]
        ratio, at_most = time_to(options.target, ours, plain)
        ended = ", at most, since trl did not come so far" if at_most else ""
        ratios[f"until {options.target:.0%} are right{ended}"] = ratio
    result = {
        "updates": options.updates,
        "clock": options.clock,
        "tokens": options.tokens,
        "legs": legs,
        "ratios": ratios,
    }
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))
    held = bool(ratios) and all(it is not None and it <= LIMIT for it in ratios.values())
    return int(options.check and not held)


if __name__ == "__main__":
    sys.exit(main())
