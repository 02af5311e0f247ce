"""What a training tells of itself while it runs: one JSON object a line in `progress.jsonl`, written at once; and each
update and evaluation as a span where there is one to put them in."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from agentkit.tracing import Part

_NO_NUMBERS = frozenset({"step", "of", "left"})
"""Of what is told of an update: they say nothing of how it went."""


class Progress:
    """Events and where the time goes. Resumed, it goes on in the same file."""

    def __init__(self, file: Path | None, span: Part | None = None) -> None:
        """`file`: None where nothing is told."""
        self._file = file
        self._span = span
        self._began = time.monotonic()
        self.seconds: dict[str, float] = {}
        """Part of the work → seconds so far in this sitting."""
        self._before: dict[str, float] = {}
        self._marks: dict[str, int] = {}

    def tell(self, event: str, **facts: Any) -> None:
        """Add a line. `event` is `begin`, `step`, `evaluation`, `stop` or `end`."""
        if self._file is None:
            return
        line = {"event": event, "seconds": round(time.monotonic() - self._began, 3), **facts}
        with self._file.open("ab") as stream:
            stream.write(orjson.dumps(line, default=float, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        if self._span is not None:
            self._record(self._span, event, facts)

    def mark(self, what: str) -> None:
        """Note when the work on an update began (`update`) and when it was done (`updated`)."""
        if what == "update":
            self._before = dict(self.seconds)
        if self._span is not None:
            self._marks[what] = self._span.now()

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count what happens inside to a part: `generation`, `reward`, `evaluation`, or what else takes long."""
        begin = time.monotonic()
        self.mark(part)
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - begin

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def _record(self, span: Part, event: str, facts: Mapping[str, Any]) -> None:
        """Numbers alone: what a model wrote stands in no span."""
        from agentkit.tracing import attributes as names

        if event == "step":
            told = {f"{names.TRAIN}{name}": it for name, it in facts.items() if name not in _NO_NUMBERS}
            spent = {part: seconds - self._before.get(part, 0.0) for part, seconds in self.seconds.items()}
            told |= {
                f"{names.TRAIN}seconds.{part}": it for part, it in spent.items() if it and part != names.EVALUATION
            }
            began = self._marks.get("update")
            update = span.part(names.UPDATE, facts["step"], {names.UPDATE_NUMBER: facts["step"]}, started=began)
            update.finish(told, ended=self._marks.get("updated"))
        elif event == "evaluation":
            known = {
                names.UPDATE_NUMBER: facts["step"],
                names.EVALUATION_PASSED: facts["passed"],
                names.EVALUATION_GRADED: facts["graded"],
                names.EVALUATION_GUARDED: facts.get("guarded"),
                names.EVALUATION_LOST: facts.get("lost"),
                names.MEAN_TOKENS: facts["length"],
            }
            span.part(names.EVALUATION, facts["step"], started=self._marks.get("evaluation")).finish(known)
