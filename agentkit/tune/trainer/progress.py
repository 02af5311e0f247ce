"""What a training tells of itself while it runs: one JSON object a line in `progress.jsonl`, written at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson


class Progress:
    """Events and where the time goes. Resumed, it goes on in the same file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began = time.monotonic()
        self.seconds: dict[str, float] = {}
        """Part of the work → seconds so far in this sitting."""

    def tell(self, event: str, **facts: Any) -> None:
        """Add a line. `event` is `begin`, `step`, `evaluation`, `stop` or `end`."""
        line = {"event": event, "seconds": round(time.monotonic() - self._began, 3), **facts}
        with self._file.open("ab") as stream:
            stream.write(orjson.dumps(line, default=float, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count what happens inside to a part: `generation`, `reward`, `evaluation`, or what else takes long."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - begin

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began
