"""One player in a process of its own: import, warm up, then play a batch for each line on standard input.

Answers are JSON lines on the original standard output; whatever a framework prints goes to standard
error instead. A batch's answer has `calls` (model calls the mock counted), `cpu_s` (user and system time
of this process with all its threads, and of children it has waited for), `wall_s`, and `peak_rss_mib` so far.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from importlib import metadata
from typing import Any

MODULES = {
    "agentkit": "players.agentkit_player",
    "inspect": "players.inspect_player",
    "langgraph": "players.langgraph_player",
}
PACKAGES = {
    "agentkit": ("agentkit-reliability", "langgraph"),
    "inspect": ("inspect-ai",),
    "langgraph": ("langgraph", "langchain-core"),
}
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage: bytes on macOS, KiB on Linux


def cpu_seconds() -> float:
    """CPU time of this process and its finished children, in seconds since the process began."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 2**20


def measure(player: Any, conversations: int, concurrency: int) -> dict[str, Any]:
    """Play one batch; the garbage of earlier batches is collected before the clock starts."""
    gc.collect()
    wall, cpu = time.perf_counter(), cpu_seconds()
    calls = player.play(conversations, concurrency)
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    return {"calls": calls, "cpu_s": cpu, "wall_s": wall, "peak_rss_mib": peak_rss_mib()}


def version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed as a distribution"


def main(name: str, concurrency: int, warmup: int) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    player = importlib.import_module(MODULES[name])
    if warmup:
        player.play(warmup, concurrency)
    print(json.dumps({"versions": {p: version_of(p) for p in PACKAGES[name]}}), file=answers)
    for line in sys.stdin:
        print(json.dumps(measure(player, json.loads(line), concurrency)), file=answers)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
