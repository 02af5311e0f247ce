"""Trained adapters and the jobs that train them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType

AdapterName = NewType("AdapterName", str)
"""`refund-v1-3fa9`: the step, the version, and the beginning of the hash of what is in it."""
JobId = NewType("JobId", str)


class AdapterState(StrEnum):
    """How far an adapter has come on its way to the users."""

    CANDIDATE = "candidate"
    """Published, and serves nobody."""
    CANARY = "canary"
    """Serves a share of the users beside what serves the others."""
    LIVE = "live"
    RETIRED = "retired"
    """Serves nobody any more."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained adapter in a folder that never changes, and what is known of it."""

    name: AdapterName
    step: str
    """Selector of the step that it is to repair: `refund`, `shop/refund/golden#refund`, `skill:refund`."""
    scenarios: tuple[str, ...]
    """Ids of the scenarios that it was trained for."""
    base: str
    """Name of the model whose weights it changes."""
    base_hash: str
    """Of that model's weights, configuration and tokenizer."""
    parents: tuple[AdapterName, ...]
    """Adapters that its training started from."""
    job: JobId | None
    """The job that trained it; None where it was published by hand."""
    path: str
    """Its folder, as the project's configuration writes it: absolute, or relative to the project."""
    hash: str
    """SHA-256 of its weights and configuration, 64 hexadecimal digits."""
    manifest_hash: str
    """SHA-256 of its manifest, and so of everything that is in the folder."""
    created_at: str
    """RFC 3339, UTC."""
    card: Mapping[str, Any]
    """What it was trained with and how, plain JSON (`agentkit/tune/README.md`)."""
    state: AdapterState = AdapterState.CANDIDATE
    certificate: Mapping[str, Any] | None = None
    """What measuring it before and after said, plain JSON; None before it was proved."""

    @property
    def step_name(self) -> str:
        """The step as feedback names it: `refund`."""
        return step_name(self.step)


def step_name(selector: str) -> str:
    """The step's own name in a selector: `refund` of `shop/refund/golden#refund` and of `skill:refund`."""
    return selector.rpartition("#")[2].rpartition(":")[2]


class JobStatus(StrEnum):
    """What a training job is doing, or how it ended."""

    COMPILING = "compiling"
    """Turning scenarios into training examples."""
    AUDITING = "auditing"
    """Checking examples and rewards."""
    SAMPLING = "sampling"
    TRAINING = "training"
    PROVING = "proving"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Somebody stopped it; it can be taken up again."""
    FAILED = "failed"
    """An error ended it."""
    REFUSED = "refused"
    """There was a reason not to train: the examples, the rewards or the step itself."""

    @property
    def ended(self) -> bool:
        """Whether no process is at work on the job."""
        return self in (JobStatus.FINISHED, JobStatus.STOPPED, JobStatus.FAILED, JobStatus.REFUSED)


@dataclass(frozen=True, slots=True)
class Job:
    """The training of an adapter for one step, from its examples to its proof."""

    id: JobId
    step: str
    """Selector of the step that it is to repair."""
    folder: str
    """Where its files are, as the project's configuration writes it."""
    created_at: str
    """RFC 3339, UTC."""
    updated_at: str
    """The same; of the last change."""
    settings: Mapping[str, Any]
    """What it was told, enough to take it up again; plain JSON."""
    status: JobStatus = JobStatus.COMPILING
    stage: str = ""
    """In words, what it is at: `step 12 of 40`."""
    pid: int | None = None
    """The process at work on it; None where it has ended or not begun."""
    result: Mapping[str, Any] | None = None
    """What came of it, plain JSON; None before it has ended."""
