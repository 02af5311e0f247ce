"""The folder of a job: what each stage left there, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from agentkit.errors import UsageError
from agentkit.files import write_json

_SECONDS = "seconds.json"


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Files of plain JSON, each written once its stage is done."""

    path: Path

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def read(self, name: str) -> Any:
        """Raises UsageError where the file is missing, though its stage was done."""
        if not self.has(name):
            raise UsageError(f"{self.path / name}: is missing; the job's folder was changed")
        return orjson.loads((self.path / name).read_bytes())

    def read_if_there(self, name: str) -> Any:
        """None where the stage was not done, or is none of this job."""
        return self.read(name) if self.has(name) else None

    def write(self, name: str, value: object) -> None:
        """Whole or not at all."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / name, value)

    @property
    def seconds(self) -> dict[str, float]:
        """Part of the job → seconds so far, over all its sittings. `server` holds what is done while one is up."""
        return dict(self.read_if_there(_SECONDS) or {})

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count what happens inside to a part."""
        begin = time.monotonic()
        try:
            yield
        finally:
            known = self.seconds
            self.write(_SECONDS, known | {part: round(known.get(part, 0.0) + time.monotonic() - begin, 1)})
