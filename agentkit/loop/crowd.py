"""Users who talk side by side, in small groups: where one group's last conversation is over, its next ones begin.

So the servers are kept busy, what users think is known soon, and nobody is waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from agentkit.errors import AgentkitError
from agentkit.records import Trial
from agentkit.scenario.streams import derive

_GROUPS = 8
_TOGETHER = 2
"""Conversations of each variant that a group has at a time."""
_REST = 1.0
"""Seconds between two looks at whether it is wanted that they talk."""
_TOLD = 20
"""Conversations between two lines about them."""


class Users(Protocol):
    """Who talk; `agentkit.loop.simulated.SimulatedUsers`."""

    def talk(self, trials: int, seed: int) -> Sequence[Trial]:
        """So many conversations of each variant, each judged."""
        ...


@dataclass(slots=True)
class Crowd:
    """All who talk, and what they talked."""

    users: Users
    tell: Callable[[str], None]
    seed: int
    talked: list[Trial] = field(default_factory=list)
    """Conversations so far."""
    _begun: Iterator[int] = field(default_factory=count)
    _failed: list[Exception] = field(default_factory=list)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def talks(self) -> int:
        return len(self.talked)

    def talk(self, trials: int) -> None:
        """`trials` conversations of each variant, up to their end."""
        had = self.users.talk(trials, derive(self.seed, "users", str(next(self._begun))) >> 16)
        with self._counting:
            told = self.talks // _TOLD
            self.talked += had
            if self.talks // _TOLD > told:
                self.tell(f"{self.talks} conversations of simulated users so far")

    def check(self) -> None:
        """Raises AgentkitError where users could not go on: nobody talks any more."""
        if self._failed:
            raise AgentkitError(f"the simulated users could not go on: {self._failed[0]}")

    def talk_while(self, wanted: Callable[[], bool]) -> int:
        """Gives how many conversations were over once it was wanted no more; those under way then are waited for, and
        not among them.

        Raises AgentkitError where users could not go on.
        """
        had: list[int] = []

        def still() -> bool:
            if not had and wanted():
                return True
            had.append(self.talks)
            return False

        with self.talking(still):
            while still():
                self.check()
                time.sleep(_REST)
        return had[0]

    @contextmanager
    def talking(self, wanted: Callable[[], bool]) -> Iterator[None]:
        """Groups talk beside what happens inside, at all times at which it is `wanted`.

        Raises AgentkitError at the end where users could not go on. Where what happens inside raises, nobody is
        waited for.
        """
        over = threading.Event()

        def talk() -> None:
            while not over.is_set() and not self._failed:
                try:
                    if wanted():
                        self.talk(_TOGETHER)
                    else:
                        over.wait(_REST)
                except Exception as error:
                    self._failed.append(error)

        groups = [threading.Thread(target=talk, name=f"users-{number}", daemon=True) for number in range(_GROUPS)]
        for group in groups:
            group.start()
        try:
            yield
        finally:
            over.set()
        for group in groups:
            group.join()
        self.check()
