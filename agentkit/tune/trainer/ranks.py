"""The processes that train together, each on its part of every batch; mostly there is one.

Who starts them says in the environment which of them a process is: the job, `accelerate launch` or `torchrun`. The
first of them alone writes files, and what it finds holds for all, so that none of them decides something else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch

from agentkit.errors import UsageError
from agentkit.tune.phase import RENDEZVOUS

T = TypeVar("T")
_PATIENCE = timedelta(hours=6)
"""A process may wait so long for another: rewards may ask judges, and play conversations to their end."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which of them this process is."""

    rank: int = 0
    size: int = 1
    talk: Any = None
    """Their group for what is no tensor; None where there is one process."""

    @classmethod
    def join(cls) -> Ranks:
        """Meet the others that the environment tells of. Each computes on a GPU of its own where there are any."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        rank = int(os.environ["RANK"])
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group(
            "nccl" if torch.cuda.is_available() else "gloo",
            init_method=os.environ.get(RENDEZVOUS, "env://"),
            rank=rank,
            world_size=size,
            timeout=_PATIENCE,
        )
        return cls(rank, size, torch.distributed.new_group(backend="gloo", timeout=_PATIENCE))

    def leave(self) -> None:
        if self.talk is not None:
            torch.distributed.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, whole: int, what: str) -> int:
        """How many of an update's `what` each process has.

        Raises:
            UsageError: they cannot be dealt out evenly.
        """
        if whole % self.size:
            raise UsageError(f"{what}: found {whole} an update, expected a multiple of the {self.size} processes")
        return whole // self.size

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of what all have."""
        return items[self.rank * len(items) // self.size : (self.rank + 1) * len(items) // self.size]

    def joined(self, part: list[T]) -> list[T]:
        """The parts of all, in order."""
        if self.talk is None:
            return part
        parts: list[list[T]] = [[] for _ in range(self.size)]
        torch.distributed.all_gather_object(parts, part, group=self.talk)
        return [item for it in parts for item in it]

    def agreed(self, find: Callable[[], T]) -> T:
        """What the first process finds; the others do not look."""
        if self.talk is None:
            return find()
        found: list[Any] = [find() if self.first else None]
        torch.distributed.broadcast_object_list(found, src=0, group=self.talk)
        agreed: T = found[0]
        return agreed


ALONE = Ranks()
"""A process that trains by itself."""
