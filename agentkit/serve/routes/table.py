"""The route table as one process sees it: it follows the store, and never waits for it on a known conversation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agentkit.errors import StoreError
from agentkit.records import AdapterName, Arm, ConversationId, Pin, Revision, Route, Target
from agentkit.serve.lookup import find_route
from agentkit.serve.routes.arms import arm_of, target_of
from agentkit.serve.routes.change import newest
from agentkit.serve.routes.history import History
from agentkit.serve.routes.pinned import IDLE, SAVED_EVERY, Held, Pinned
from agentkit.store import Store

_FOLLOW = 0.2
"""Seconds between two looks for a new revision."""
_WRITE = 0.05
"""Seconds between two batches of pins."""
_TIDY = 5.0
"""Seconds between two looks for conversations that have ended, and for what other processes have running."""
_MISS = 0.05
"""Seconds that a conversation which is not known here may wait for the store."""
_VAIN = 3
"""Waits in vain, one after the other, after which the store is not asked for a while."""
_BLIND = 2.0
"""Seconds of that while."""
_FRESH = 1.0
"""Seconds for which the revisions of running conversations are remembered."""
_KEPT = timedelta(days=1)
"""How long the store keeps the pin of a conversation that has ended."""
_DROP = 3_600.0
"""Seconds between two times that such pins are dropped."""
_STOP = 5.0
"""Seconds that closing waits for a thread that waits for the store."""
_READ = 500
_log = logging.getLogger("agentkit.routes")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What answers a request."""

    revision: int
    """That the conversation is pinned to."""
    arm: Arm
    """Of this route."""
    target: Target
    route: Route


class RouteTable:
    """Which target answers which step of which conversation. Safe to share between threads.

    A change that any process makes is seen within half a second. A conversation keeps the revision that was the newest
    when it was first seen, until it has had no request for 30 minutes or a safety rollback takes back what answers it.
    """

    def __init__(self, store: Store, *, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock
        self._history = History(newest(store))
        self._begun = self._history.last
        self._serves: Callable[[AdapterName], bool] = lambda _: True
        self._pinned = Pinned()
        self._lock = threading.RLock()
        self._elsewhere: set[int] = set()
        self._asking = ThreadPoolExecutor(2, thread_name_prefix="agentkit-pin")
        self._blind_until = self._drop_at = self._own_until = 0.0
        self._vain = 0
        self._own: set[int] = set()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    @classmethod
    def open(cls, store: Store, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> RouteTable:
        """A table that follows the store from now on; the store gets its first revision where it has none.

        Raises:
            StoreError: the store cannot be read.
        """
        table = cls(store, clock=clock)
        table._take_up()
        table._start("follow", _FOLLOW, table.refresh)
        table._start("pins", _WRITE, table.flush)
        table._start("tidy", _TIDY, table.tidy)
        return table

    def begin_once_up(self, serves: Callable[[AdapterName], bool]) -> None:
        """From now on a new revision takes conversations once each adapter that it adds is up, as `serves` says; until
        then they belong to the one before. A rollback waits for nothing.

        That holds for what was made before this process began, too, unless it is known to have begun by then. Blocking.

        Raises:
            StoreError: the store cannot be read.
        """
        number = self._had_begun()
        with self._lock:
            self._serves, self._begun = serves, number
        self._begin()

    @property
    def current(self) -> Revision:
        """The newest revision that this process knows."""
        return self._history.current.revision

    @property
    def begun(self) -> Revision:
        """The revision that a conversation is pinned to which begins now."""
        return (self._history.get(self._begun) or self._history.current).revision

    def knows(self, conversation: ConversationId) -> bool:
        """Whether `resolve` answers from memory, without asking the store."""
        return self._pinned.get(conversation, self._clock().timestamp()) is not None

    def resolve(self, conversation: ConversationId, agent: str, step: str) -> Resolved:
        """What answers this step of this conversation, which counts as seen now.

        A conversation that is not known here is looked for in the store, for a twentieth of a second at most; where it
        is not known there either it is pinned to the newest revision that has begun.
        """
        now = self._clock().timestamp()
        held = self._pinned.get(conversation, now) or self._first_seen(conversation, now)
        with self._lock:
            if held.checked < self._history.last:
                self._repin(conversation, held)
            table = self._history.get(held.revision) or self._history.current
        route = find_route(table.routes, agent, step)
        arm = arm_of(route, conversation)
        return Resolved(table.revision.number, arm, target_of(route, arm), route)

    def adapters_needed(self) -> set[AdapterName]:
        """Adapters that may be asked for: those of the newest revision, of that which new conversations get, and of all
        that have a running conversation in this process or in another."""
        with self._lock:
            if time.monotonic() >= self._own_until:
                self._own, self._own_until = self._pinned.revisions(), time.monotonic() + _FRESH
            numbers = {self._history.last, self._begun, *self._own, *self._elsewhere}
            known = [number for number in numbers if self._history.get(number) is not None]
            return {name for number in known for name in self._history.adapters(number)}

    def refresh(self) -> None:
        """Look for newer revisions now. Raises StoreError."""
        while found := self._store.revisions(_READ, above=self._history.last):
            if found[-1].number > self._history.last + 1:  # more than are read at a time
                found = self._between(self._history.last, found[-1].number) + found
            with self._lock:
                safety = self._history.add(found)
            if safety:
                self._repin_all()
            self._own_until = 0.0
        self._begin()

    def flush(self) -> None:
        """Write pins to the store now. Raises StoreError; they are due again then."""
        batch = self._pinned.unsaved()
        try:
            ended = datetime.fromtimestamp(self._clock().timestamp() - IDLE, UTC)
            found = self._store.set_pins(batch, ended=ended)
        except StoreError:
            self._pinned.again(batch)
            raise
        for sent in batch:
            stored = found.get(sent.conversation)
            if stored is not None and stored.revision != sent.revision:
                self._load(stored.revision)
                self._pinned.adopt(stored, sent)

    def tidy(self) -> None:
        """Let go of conversations that have ended, and ask what other processes have running. Raises StoreError."""
        now = self._clock()
        self._pinned.sweep(now.timestamp())
        since = datetime.fromtimestamp(now.timestamp() - IDLE - SAVED_EVERY, UTC)
        elsewhere = self._store.pinned_revisions(since)
        for number in elsewhere:
            self._load(number)
        self._elsewhere, self._own_until = elsewhere, 0.0
        if time.monotonic() > self._drop_at:
            self._drop_at = time.monotonic() + _DROP
            self._store.drop_pins(datetime.fromtimestamp(now.timestamp(), UTC) - _KEPT)

    def close(self) -> None:
        """Stop following; what is not written yet is written."""
        self._closing.set()
        for thread in self._threads:
            thread.join(_STOP)
        self._asking.shutdown(wait=False, cancel_futures=True)
        try:
            self.flush()
        except StoreError as error:
            _log.warning("pins of running conversations are lost: %s", error)

    def _take_up(self) -> None:
        """Conversations that ran when this process began are known from the start."""
        now = self._clock().timestamp()
        since = datetime.fromtimestamp(now - IDLE, UTC)
        for pin in self._store.pins(since=since, limit=100_000):
            self._load(pin.revision)
            self._pinned.known(pin)
        self.tidy()
        self._asking.submit(self._look_up, ConversationId("")).result()  # so that the first request opens no connection

    def _begin(self) -> None:
        """Let the newest revision begin that is a rollback, or whose adapters are all up; those that were up before it
        count as such."""
        with self._lock:
            known = self._history.adapters(self._begun)
            for number in range(self._history.last, self._begun, -1):
                added = self._history.adapters(number) - known
                if self._history.is_rollback(number) or all(map(self._serves, added)):
                    self._begun = number
                    return

    def _had_begun(self) -> int:
        """The newest revision that certainly has begun before: a conversation was pinned to it, it is a rollback, or
        it has no canary that might never have come up."""
        pinned = self._store.pinned_revisions(datetime.fromtimestamp(self._clock().timestamp(), UTC) - _KEPT)
        number = self._history.last
        while number > 1 and number not in pinned:
            self._load(number)
            with self._lock:
                if self._history.is_rollback(number) or not self._history.tries_adapters(number):
                    break
            number -= 1
        self._load(number)
        return number

    def _first_seen(self, conversation: ConversationId, now: float) -> Held:
        held = self._stored(conversation, now)
        if held is None:
            with self._lock:
                table = self._history.get(self._begun) or self._history.current
            held = Held(table.revision.number, table.arm(conversation), now, checked=table.revision.number)
        return self._pinned.put(conversation, held, now)

    def _stored(self, conversation: ConversationId, now: float) -> Held | None:
        """The running conversation as the store knows it; None where it does not, or does not answer in time."""
        if time.monotonic() < self._blind_until:
            return None
        try:
            pin = self._asking.submit(self._look_up, conversation).result(_MISS)
            self._vain = 0
        except (NotInTime, StoreError) as error:
            why = str(error) or f"no answer in {_MISS} s"
            _log.info("a conversation was not looked for in the store: %s", why)
            self._vain += 1
            if self._vain >= _VAIN:
                self._vain, self._blind_until = 0, time.monotonic() + _BLIND
                _log.warning(
                    "no conversation is looked for in the store for %g s, after %d times %s", _BLIND, _VAIN, why
                )
            return None
        held = None if pin is None else Held.of(pin)
        if held is None or now - held.seen > IDLE:
            return None
        held.seen = now
        return held

    def _look_up(self, conversation: ConversationId) -> Pin | None:
        pin = self._store.pin(conversation)
        if pin is not None:
            self._load(pin.revision)
        return pin

    def _load(self, number: int) -> None:
        """Know that revision, and all between it and those that are known."""
        while number < self._history.first:
            found = self._store.revisions(_READ, above=number - 1, below=self._history.first)
            if not found:
                return
            with self._lock:
                self._history.add(found)
        if number > self._history.last:
            self.refresh()

    def _between(self, above: int, below: int) -> list[Revision]:
        found: list[Revision] = []
        while more := self._store.revisions(_READ, above=above, below=found[-1].number if found else below):
            found += more
        return found

    def _repin(self, conversation: ConversationId, held: Held) -> None:
        """Where a safety rollback took back what would answer it, move it there; the lock is held."""
        held.checked = self._history.last
        if self._history.get(held.revision) is None:
            return
        number = self._history.forward(held.revision, conversation)
        if number != held.revision:
            table = self._history.get(number)
            assert table is not None
            held.repinned_from, held.revision, held.arm = held.revision, number, table.arm(conversation)
            self._pinned.save(conversation, held)

    def _repin_all(self) -> None:
        for conversation, held in self._pinned.all():
            with self._lock:
                self._repin(conversation, held)

    def _start(self, name: str, every: float, work: Callable[[], None]) -> None:
        def run() -> None:
            troubled = False
            while not self._closing.wait(every):
                try:
                    work()
                    troubled = False
                except StoreError as error:
                    if not troubled:
                        _log.warning("the route table (%s) waits for the store: %s", name, error)
                    troubled = True

        thread = threading.Thread(target=run, name=f"agentkit-routes-{name}", daemon=True)
        thread.start()
        self._threads.append(thread)
