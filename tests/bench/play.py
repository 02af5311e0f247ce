"""The benchmark: what agentkit costs beside Inspect AI and beside a bare LangGraph graph (see README.md)."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import legs
import memory
import startup
from players import conversation as talk
from worker import MODULES

LIMITS = {"inspect": 0.5, "langgraph": 1.7}
"""At most this much CPU per model call, as a multiple of the other player's."""


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Play the interleaved rounds; the result is the `speed` part of the JSON document."""
    played = legs.interleave(options.legs, options.conversations, options.rounds, options.concurrency)
    result: dict[str, Any] = {
        "conversations": options.conversations,
        "rounds": options.rounds,
        "concurrency": options.concurrency,
        "turns": len(talk.TURNS),
        "calls_per_turn": talk.CALLS_PER_TURN,
        "legs": {
            name: {
                "versions": leg.versions,
                "cpu_ms_per_call": legs.spread(leg.cpu_ms_per_call),
                "batches": leg.batches,
            }
            for name, leg in played.items()
        },
    }
    if "agentkit" in played:
        result["ratios"] = {
            name: legs.ratios(played["agentkit"], leg) | {"limit": LIMITS[name]}
            for name, leg in played.items()
            if name != "agentkit"
        }
    return result


def speed_table(result: dict[str, Any]) -> str:
    lines = [
        f"Speed: {result['conversations']} conversations of {result['turns']} turns with "
        f"{result['calls_per_turn']} model calls a turn, {result['concurrency']} at once, "
        f"{result['rounds']} interleaved rounds",
        f"  {'player':<10} {'CPU ms per model call':>24} {'(min to max)':>16} {'model calls':>12}  versions",
    ]
    for name, leg in result["legs"].items():
        cpu = leg["cpu_ms_per_call"]
        calls = sum(batch["calls"] for batch in leg["batches"])
        versions = ", ".join(f"{package} {version}" for package, version in leg["versions"].items())
        interval = f"({cpu['min']:.2f} to {cpu['max']:.2f})"
        lines.append(f"  {name:<10} {cpu['median']:>24.3f} {interval:>16} {calls:>12}  {versions}")
    for name, ratio in result.get("ratios", {}).items():
        verdict = "kept" if ratio["median"] <= ratio["limit"] else "EXCEEDED"
        lines.append(
            f"  agentkit / {name}: {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}), "
            f"limit {ratio['limit']}: {verdict}"
        )
    return "\n".join(lines)


def speed_kept(result: dict[str, Any]) -> bool:
    """Whether both ratios were measured and keep their limits."""
    found = result.get("ratios", {})
    return set(found) == set(LIMITS) and all(r["median"] <= r["limit"] for r in found.values())


PARTS: dict[str, tuple[Callable[[argparse.Namespace], Any], Callable[[Any], str], Callable[[Any], bool]]] = {
    "startup": (lambda _: startup.measure(), startup.table, startup.kept),
    "speed": (speed, speed_table, speed_kept),
    "memory": (lambda o: memory.sample(o.memory_trials, o.concurrency), memory.table, memory.kept),
}


def arguments(line: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=200, help="a round and player (default 200)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--concurrency", type=int, default=8, help="conversations at once (default 8)")
    parser.add_argument("--memory-trials", type=int, default=10_000, help="trials of the memory run")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    parser.add_argument("--legs", nargs="+", choices=MODULES, default=list(MODULES), help="default: all")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is exceeded")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    return parser.parse_args(line)


def main(line: list[str] | None = None) -> int:
    options = arguments(line)
    machine = {"python": platform.python_version(), "system": platform.platform(), "cpus": os.cpu_count()}
    document: dict[str, Any] = {"machine": machine}
    print(f"Python {machine['python']}, {machine['system']}, {machine['cpus']} CPUs")
    kept = True
    for part in options.parts:
        measure, table, within = PARTS[part]
        document[part] = measure(options)
        kept &= within(document[part])
        print(f"\n{table(document[part])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if kept or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
