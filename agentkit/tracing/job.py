"""A training job as a trace: the job, its stages, and in the training program its phases, updates and evaluations.

No content stands in it, neither prompts nor completions: numbers and names alone. A part is exported when it ends, so
that a program that is killed loses what is open and nothing before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agentkit.tracing import attributes as names
from agentkit.tracing.recorder import Recorder
from agentkit.tracing.span import Attributes, Clock, Span, error_type


class Part(Span):
    """A training job, or a part of one: `stage training`, `phase grpo`, `update 3`."""

    def __init__(
        self,
        recorder: Recorder,
        clock: Clock,
        job: str,
        kind: str,
        subject: object,
        attributes: Attributes,
        parent: Span | None = None,
        started: int | None = None,
    ) -> None:
        super().__init__(recorder, clock, job, kind, str(subject), {names.JOB_ID: job, **attributes}, parent=parent)
        if not recorder.on:
            return
        for name in (names.OPERATION_NAME, names.CONVERSATION_ID):  # it is neither a model's operation nor a talk
            del self._attributes[name]
        self._started = self._started if started is None else started

    def part(
        self, kind: str, subject: object, attributes: Mapping[str, Any] | None = None, *, started: int | None = None
    ) -> Part:
        """Starts a part of it: now, or at a time that `now` gave."""
        return Part(self.recorder, self.clock, self.session, kind, subject, _plain(attributes or {}), self, started)

    def now(self) -> int:
        """The time, for `part` and `finish`; 0 where nothing is recorded."""
        return self.clock.now() if self.recording else 0

    def finish(
        self,
        attributes: Mapping[str, Any] | None = None,
        error: BaseException | None = None,
        *,
        ended: int | None = None,
    ) -> None:
        """Ends and exports it. Of an error only its kind is told: its words may quote a completion."""
        if not self.open:
            return
        self.end(_plain(attributes or {}), None if error is None else error_type(error))
        self._ended = self._ended if ended is None else ended
        self.recorder.export([self.finished()])

    @contextmanager
    def during(self, kind: str, subject: object) -> Iterator[Part]:
        """A part that takes as long as what happens inside, and ends with its error."""
        part = self.part(kind, subject)
        try:
            yield part
        except BaseException as error:
            part.finish(error=error)
            raise
        part.finish()


def _plain(attributes: Mapping[str, Any]) -> Attributes:
    """Without what is not known; numbers of other libraries as Python's."""
    return {
        name: value if isinstance(value, str | bool | int | float) else float(value)
        for name, value in attributes.items()
        if value is not None
    }
