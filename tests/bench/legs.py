"""Start a worker for each player, and have them play batches in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent
WARMUP = 5
"""Conversations each worker plays before anything is measured."""
_SETTINGS = ("AGENTKIT_", "INSPECT_", "LANGCHAIN_", "LANGGRAPH_", "LANGSMITH_", "OTEL_")


class Leg:
    """A player's process. Used as a context manager: entering waits until it is warm, leaving ends it."""

    def __init__(self, name: str, concurrency: int, warmup: int = WARMUP) -> None:
        self.name = name
        self.batches: list[dict[str, Any]] = []
        self.versions: dict[str, str] = {}
        self._arguments = [sys.executable, str(HERE / "worker.py"), name, str(concurrency), str(warmup)]

    def __enter__(self) -> Leg:
        self._home = tempfile.TemporaryDirectory(prefix="agentkit-bench-")
        # What the user has set must not decide what is compared; caches go where they are removed again.
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_SETTINGS)}
        environment = kept | {
            "XDG_DATA_HOME": self._home.name,
            "TMPDIR": self._home.name,
            "LANGSMITH_TRACING": "false",
            "PYTHONHASHSEED": "0",
        }
        self.process = subprocess.Popen(
            self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        try:
            self.versions = self._answer()["versions"]
        except BaseException:
            self._end(now=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(now=error is not None)

    def play(self, conversations: int) -> None:
        """Play a batch to its end."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{conversations}\n")
        self.process.stdin.flush()
        self.batches.append(self._answer())

    def _answer(self) -> dict[str, Any]:
        """The next line the worker prints. Raises RuntimeError where it died instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self.name} worker ended with status {self.process.wait()}; see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end(self, *, now: bool) -> None:
        """A worker ends by itself once its input ends; `now` ends one that is in the middle of something."""
        if now:
            self.process.terminate()
        with self._home, self.process:
            pass

    @property
    def cpu_ms_per_call(self) -> list[float]:
        """CPU milliseconds per model call, one number a round."""
        return [1000 * batch["cpu_s"] / batch["calls"] for batch in self.batches]


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def interleave(names: Sequence[str], conversations: int, rounds: int, concurrency: int) -> dict[str, Leg]:
    """Every player plays one batch a round, one after the other, so that all see the same machine."""
    with ExitStack() as stack:
        legs = {name: stack.enter_context(Leg(name, concurrency)) for name in names}
        for _ in range(rounds):
            for leg in legs.values():
                leg.play(conversations)
    return legs


def ratios(ours: Leg, other: Leg) -> dict[str, float]:
    """Ours over the other's, round by round."""
    return spread([a / b for a, b in zip(ours.cpu_ms_per_call, other.cpu_ms_per_call, strict=True)])
