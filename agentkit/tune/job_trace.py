"""The trace of one sitting at a job: a span for each stage, and for what takes long inside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentkit.tracing import Part, Tracing
from agentkit.tracing import attributes as names
from agentkit.tune.phase import JOB, TRACEPARENT


class JobTrace:
    """Nothing is recorded before `recording` is entered."""

    def __init__(self) -> None:
        self._open: list[Part] = []

    @contextmanager
    def recording(self, job: str, step: str, folder: Path) -> Iterator[None]:
        """The whole sitting, a trace of its own; to the collector that OpenTelemetry's variables name, else to
        `traces.jsonl` in the folder."""
        tracing = Tracing.of_job(job, folder)
        root = tracing.job(job, step)
        self._open = [root]
        try:
            yield
        except BaseException as error:
            root.finish(error=error)
            raise
        finally:
            root.finish()
            self._open = []
            tracing.close()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage, or a part of the one that is under way."""
        if not self._open:
            yield
            return
        with self._open[-1].during(names.STAGE, name) as part:
            self._open.append(part)
            try:
                yield
            finally:
                self._open.pop()

    def ended(self, facts: Mapping[str, Any]) -> None:
        """What came of the sitting."""
        if self._open:
            self._open[0].finish(facts)

    @property
    def environment(self) -> dict[str, str]:
        """For a program that records parts of the stage that is under way; empty where nothing is recorded."""
        part = self._open[-1] if self._open else None
        traceparent = part.traceparent if part is not None else None
        return {} if part is None or traceparent is None else {TRACEPARENT: traceparent, JOB: part.session}
