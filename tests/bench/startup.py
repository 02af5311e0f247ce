"""How long a user waits before anything happens: `import agentkit`, and `agentkit --help`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

IMPORT_LIMIT_MS = 150
HELP_LIMIT_MS = 400


def measure(repeats: int = 11) -> dict[str, float]:
    """Median wall times in milliseconds, of processes started in turn.

    `import_ms` is `import agentkit` less the start of a bare interpreter (`python_ms`); `help_ms` is the
    whole of `agentkit --help`, interpreter included. One unmeasured pass fills the file cache and compiles.
    """
    script = Path(sysconfig.get_path("scripts")) / "agentkit"
    if not script.exists():
        raise RuntimeError(f"{script} does not exist: install the project into this environment first")
    commands = {
        "python_ms": [sys.executable, "-c", "pass"],
        "import_ms": [sys.executable, "-c", "import agentkit"],
        "help_ms": [str(script), "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_number in range(repeats + 1):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if round_number:
                times[name].append(1000 * (time.perf_counter() - begin))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return medians | {"import_ms": medians["import_ms"] - medians["python_ms"]}


def table(result: dict[str, float]) -> str:
    return (
        f"Start-up (wall, median): import agentkit {result['import_ms']:.0f} ms (limit {IMPORT_LIMIT_MS}), "
        f"agentkit --help {result['help_ms']:.0f} ms (limit {HELP_LIMIT_MS}), "
        f"bare interpreter {result['python_ms']:.0f} ms"
    )


def kept(result: dict[str, float]) -> bool:
    return result["import_ms"] < IMPORT_LIMIT_MS and result["help_ms"] < HELP_LIMIT_MS
