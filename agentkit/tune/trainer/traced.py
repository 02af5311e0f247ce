"""The phase's span, below that of the job which started this program: what `TRACEPARENT` in the environment names.

Without that variable nothing is recorded, and OpenTelemetry is not even loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.tune.phase import JOB, TRACEPARENT

if TYPE_CHECKING:
    from agentkit.tracing import Part


@contextmanager
def traced(folder: Path, method: str) -> Iterator[Part | None]:
    """The open span; None where nothing is recorded. It goes to the collector that OpenTelemetry's variables name, else
    to `traces.jsonl` in the folder. It ends with what happens inside, and with its error."""
    traceparent = os.environ.get(TRACEPARENT, "")
    if not traceparent:
        yield None
        return
    from agentkit.tracing import Tracing

    tracing = Tracing.of_job(os.environ.get(JOB, ""), folder)
    span = tracing.phase(os.environ.get(JOB, ""), method, traceparent)
    try:
        yield span
    except BaseException as error:
        span.finish(error=error)
        raise
    finally:
        span.finish()
        tracing.close()
