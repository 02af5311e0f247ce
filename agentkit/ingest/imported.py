"""What an importer makes of a source: one run, its trials, and what of the source could not be read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from agentkit.errors import Problem, UsageError
from agentkit.records import Run, RunId, Trial, TrialId, TrialKey

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was when it was read."""

    kind: str
    """The importer, e.g. `tau-bench`."""
    path: Path
    size: int
    """Bytes."""
    sha256: str

    @classmethod
    def of(cls, kind: str, path: Path) -> Source:
        """Raises UsageError where there is no such file, or it cannot be read."""
        try:
            if not path.is_file():
                found = "found a folder" if path.is_dir() else "there is no such file"
                raise UsageError(f"{path}: expected a file to import, {found}")
            size = path.stat().st_size
            return cls(kind, path, size, _digest(path, size))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from None

    def begins_with(self, size: int, sha256: str) -> bool:
        """Whether the file's first `size` bytes are those of another file: one that was cut off, or has grown since."""
        try:
            return size < self.size and _digest(self.path, size) == sha256
        except OSError:
            return False


def _digest(path: Path, size: int) -> str:
    """SHA-256 of the first `size` bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(_CHUNK, size))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Imported:
    """A source as records. Equal sources give equal records, but for the time at which it was read."""

    run: Run
    trials: tuple[Trial, ...]
    problems: tuple[Problem, ...] = ()
    """What of the source is not among the trials, and why."""
    source: Source | None = None
    """The file, where the source is one: a run that was recorded from its beginning is then continued."""
    formerly: RunId | None = None
    """The run's id as it was made before; where the store holds that run, it is this one."""


def imported_run(
    kind: str,
    digest: str,
    *,
    agent: str,
    trials: int,
    complete: bool,
    scenarios: Mapping[str, str],
    settings: Mapping[str, Any],
    source: Source | None = None,
) -> Run:
    """The run of an import. Its id comes from `kind` and `digest` (of the content), so that equal sources are one run.

    Recorded models sample: `deterministic` is False, and repeats count. `settings` is what the importer was told.
    """
    file = {"file": str(source.path), "bytes": source.size, "sha256": source.sha256} if source else {}
    return Run(
        id=run_id(kind, digest),
        agent=agent,
        agent_hash=hashlib.sha256(f"{kind}\0{agent}".encode("utf-8", "surrogatepass")).hexdigest()[:16],
        deterministic=False,
        seed=0,
        planned=trials,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        settings={"import": {"kind": kind, **file, **settings}},
        versions={"agentkit-reliability": metadata.version("agentkit-reliability")},
        scenarios=scenarios,
        status="finished" if complete else "interrupted",
    )


def run_id(kind: str, digest: str) -> RunId:
    """The id of the run that an importer makes of a source with this digest."""
    return RunId(f"{kind}-{digest[:12]}")


def trial_id(run: RunId, key: TrialKey) -> TrialId:
    """An id that is the same each time the trial is imported into the run."""
    text = "\0".join((run, key.scenario, key.variant, str(key.instance), str(key.repeat)))
    return TrialId(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12])


def numbered(run: RunId, trials: Sequence[Trial], first: int) -> list[Trial]:
    """The trials as those of `run`, in the places from `first` on."""
    return [
        replace(trial, id=trial_id(run, trial.key), run=run, index=place)
        for place, trial in enumerate(trials, start=first)
    ]
