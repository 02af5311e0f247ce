"""The program that `agentkit tune` starts, with its seconds those of the processor where the benchmark wants it."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

from agentkit.tune.trainer import progress
from agentkit.tune.trainer.__main__ import main

if __name__ == "__main__":
    if os.environ.get("BENCH_CLOCK") == "cpu":
        setattr(progress, "time", SimpleNamespace(monotonic=time.process_time))  # noqa: B010
    sys.exit(main(["train", sys.argv[1]]))
