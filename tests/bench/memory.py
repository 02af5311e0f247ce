"""Peak memory of one long run, sampled from outside while it plays."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import psutil
from legs import Leg

LIMIT_MIB = 400
FLAT_MIB = 20
"""How much the last quarter's peak may exceed the second quarter's for a run to count as flat."""
_INTERVAL_S = 0.25
_ROWS = 10


def resident_mib(pid: int) -> float:
    """Resident memory of a process and all its children, in MiB; 0 for one that has gone."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return float(sum(member.memory_info().rss for member in family)) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def sample(trials: int, concurrency: int) -> dict[str, Any]:
    """Play `trials` conversations in one agentkit run.

    Returns `trials`, `calls`, `start_mib` (before the run), `peak_mib` (also between the samples, as the
    kernel saw it), `rows` (the peak in each tenth of the time), `growth_mib` (last quarter's peak over the
    second quarter's; the first is left out, since caches fill there) and `seconds`.
    """
    with Leg("agentkit", concurrency) as leg:
        start = resident_mib(leg.process.pid)
        samples: list[float] = []
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_INTERVAL_S):
                samples.append(resident_mib(leg.process.pid))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            leg.play(trials)
        finally:
            samples.append(resident_mib(leg.process.pid))
            ended.set()
            watcher.join()
    (batch,) = leg.batches
    second, last = _part(samples, 1, 4), _part(samples, 3, 4)
    return {
        "trials": trials,
        "calls": batch["calls"],
        "seconds": batch["wall_s"],
        "start_mib": start,
        "peak_mib": max(*samples, batch["peak_rss_mib"]),
        "growth_mib": max(last) - max(second),
        "rows": [max(_part(samples, index, _ROWS)) for index in range(_ROWS)],
    }


def _part(samples: list[float], index: int, parts: int) -> list[float]:
    """The part `index` of `parts` equal ones, never empty."""
    edges = [len(samples) * i // parts for i in range(parts + 1)]
    begin, end = list(pairwise(edges))[index]
    return samples[begin : max(end, begin + 1)] or samples[-1:]


def table(result: dict[str, Any]) -> str:
    lines = [
        f"Memory: {result['trials']:,} trials in one run, {result['seconds']:.0f} s",
        "  done    peak RSS",
    ]
    lines += [f"  {100 * (index + 1) // _ROWS:3d} %  {mib:7.0f} MiB" for index, mib in enumerate(result["rows"])]
    flat = "flat" if result["growth_mib"] <= FLAT_MIB else "NOT flat"
    kept = "below" if result["peak_mib"] < LIMIT_MIB else "ABOVE"
    lines.append(
        f"  before the run {result['start_mib']:.0f} MiB; peak {result['peak_mib']:.0f} MiB, "
        f"{kept} {LIMIT_MIB}; last quarter over second quarter {result['growth_mib']:+.0f} MiB: {flat}"
    )
    return "\n".join(lines)


def kept(result: dict[str, Any]) -> bool:
    return bool(result["peak_mib"] < LIMIT_MIB and result["growth_mib"] <= FLAT_MIB)
