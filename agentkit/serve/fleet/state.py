"""What a replica is doing, and how a fleet shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from agentkit.errors import AgentkitError
from agentkit.records import AdapterName


class State(StrEnum):
    """Of one replica."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    """It answers what it has begun, and is given nothing new."""
    DEAD = "dead"
    """Its process ended, or it no longer answers; it is started again after a while."""


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One replica at one moment."""

    name: str
    state: State
    base_url: str
    """Empty while there is no server."""
    adapters: tuple[AdapterName, ...]
    """That it answers for: loaded and attested, or merged into its weights."""
    merged: bool
    restarts: int
    in_flight: int
    why: str
    """What went wrong last; '' where nothing did."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How closely replicas are watched. All in seconds but `misses`."""

    look: float = 0.1
    """Between two looks whether a process still runs."""
    probe: float = 0.5
    """Between two questions for its health."""
    probe_timeout: float = 10.0
    misses: int = 3
    """Questions in a row without an answer after which a replica is dead."""
    backoff: float = 1.0
    """Before the second start in a row that fails; the first is at once, and each further waits twice as long."""
    longest_backoff: float = 30.0
    steady: float = 10.0
    """That a replica must have been ready for its next start to be at once again."""
    reload: float = 30.0
    """Between two tries to load the adapters that a ready replica lacks."""
    drain: float = 60.0
    """That requests under way are waited for before what answers them is taken away."""

    def of_existing(self) -> Pace:
        """For a server that is not started here: asking whether it is back costs nothing, so that goes on."""
        return replace(self, backoff=min(self.backoff, 0.2), longest_backoff=min(self.longest_backoff, 1.0))

    def before_start(self, failures: int) -> float:
        """Seconds to wait after so many starts or short lives in a row."""
        return 0.0 if failures < 2 else float(min(self.backoff * 2 ** (failures - 2), self.longest_backoff))


def told(error: Exception) -> str:
    """What went wrong, in words; of an error that nobody expected, its kind as well."""
    return str(error) if isinstance(error, AgentkitError) else repr(error)
