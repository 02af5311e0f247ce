"""The store: what was played, kept so that it survives the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from agentkit.errors import StoreError
from agentkit.records import Run, RunId, Trial, TrialKey, Verdict
from agentkit.store.adapters import Adapters
from agentkit.store.decisions import Decisions
from agentkit.store.engine import explained, open_engine
from agentkit.store.exchanges import Exchanges
from agentkit.store.expenses import ExpenseRow, decided_by, expenses_from
from agentkit.store.feedback import FeedbackRows
from agentkit.store.find import find_run, find_trial, run_number
from agentkit.store.forget import Forget
from agentkit.store.grades import GradeRow, grades_from
from agentkit.store.heads import Heads
from agentkit.store.jobs import Jobs
from agentkit.store.keys import Keys
from agentkit.store.migrate import migrate
from agentkit.store.observed import Observed
from agentkit.store.routes import Routes
from agentkit.store.rows import read_run, run_row
from agentkit.store.storable import json, text
from agentkit.store.tables import cache, runs, trials
from agentkit.store.whole import CHUNK, whole_trials
from agentkit.store.write import TrialWriter

DEFAULT_URL = "sqlite:///.agentkit/agentkit.db"


class _Placed(Protocol):
    @property
    def index(self) -> int: ...


P = TypeVar("P", bound=_Placed)


class Store(Adapters, Jobs, FeedbackRows, Keys, Routes, Observed, Exchanges, Heads, Forget, Decisions):
    """Runs and their trials in a database, adapters and the jobs that train them. Blocking, and safe to share between
    threads and between processes.

    Every method raises StoreError where the database fails or does not hold what is asked for. Each writing
    method is one transaction: once it returns, what it wrote survives the death of the process.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._numbers: dict[RunId, int] = {}
        self._writer = TrialWriter(engine)

    @classmethod
    def open(cls, url: str | None = None) -> Self:
        """Open a store by its SQLAlchemy URL, by default a SQLite file below the current folder.

        Makes the file and its folder, or brings an older store to the current schema.
        """
        engine = open_engine(url or DEFAULT_URL)
        try:
            with explained(engine.url):
                migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_run(self, run: Run) -> None:
        """Record a run before its first trial."""
        with explained(self._engine.url):
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(runs).values(run_row(run)))
            except IntegrityError:
                raise StoreError(f"{self.url}: a run {run.id!r} is already recorded") from None

    def update_run(
        self,
        run: RunId,
        *,
        status: str,
        spent: Mapping[str, Any],
        planned: int | None = None,
        scenarios: Mapping[str, str] | None = None,
    ) -> None:
        """Say how far a run has come, and what it has spent by now in all; of one that grows, what it holds now."""
        values: dict[str, Any] = {"status": status, "spent": json(spent)}
        values |= {} if planned is None else {"planned": planned}
        values |= {} if scenarios is None else {"scenarios": json(scenarios)}
        number = self._number(run)
        with self._transaction() as connection:
            connection.execute(update(runs).where(runs.c.run == number).values(values))

    def run(self, ref: str) -> Run:
        """The run named by `last` (the newest), by its id, or by a beginning of its id that is no other's."""
        with self._transaction() as connection:
            return read_run(find_run(connection, ref))

    def runs(self, limit: int = 20) -> list[Run]:
        """The newest runs, newest first."""
        newest = select(runs).order_by(runs.c.run.desc()).limit(limit)
        with self._transaction() as connection:
            return [read_run(row) for row in connection.execute(newest)]

    def add_trials(self, batch: Sequence[Trial]) -> int:
        """Record trials, all or none, and say how many were new.

        A trial whose key its run already holds is left as it is. Several at once cost less than one by one.
        """
        first = {(trial.run, trial.key): trial for trial in reversed(batch)}
        fresh = list(first.values())
        while fresh:
            numbered = [(self._number(trial.run), trial) for trial in fresh]
            with explained(self._engine.url):
                try:
                    with self._engine.begin() as connection:
                        self._writer.insert(connection, numbered)
                    break
                except IntegrityError:
                    known = {run: self.keys(run) for run in {trial.run for trial in fresh}}
                    unknown = [trial for trial in fresh if trial.key not in known[trial.run]]
                    if len(unknown) == len(fresh):
                        raise  # none is there already: another trial has the place or the id of one of them
                    fresh = unknown
        return len(fresh)

    def keys(self, run: RunId) -> set[TrialKey]:
        """The trials of a run that have been played."""
        t = trials.c
        query = select(t.scenario, t.variant, t.instance, t.repeat).where(t.run == self._number(run))
        with self._transaction() as connection:
            return {TrialKey(*row) for row in connection.execute(query)}

    def played(self, of: Sequence[RunId]) -> dict[RunId, int]:
        """How many trials of each of these runs have been played; read from an index alone."""
        t = trials.c
        query = select(runs.c.id, func.count(t.run)).outerjoin(trials, t.run == runs.c.run)
        with self._transaction() as connection:
            found = connection.execute(query.where(runs.c.id.in_(of)).group_by(runs.c.id)).all()
        return dict.fromkeys(of, 0) | {RunId(run): count for run, count in found}

    def trial(self, run: RunId, ref: str) -> Trial:
        """One whole trial of a run, named by

        - its place in the run, from 0: `17`
        - its path: `point_of_sale/refund/golden#0`, the first trial of that scenario and variant
        - its id, or a beginning of its id that is no other's in this run
        """
        number = self._number(run)
        with self._transaction() as connection:
            return whole_trials(connection, run, [find_trial(connection, number, ref)])[0]

    def trials(
        self,
        run: RunId,
        *,
        scenario: str | None = None,
        variant: str | None = None,
        verdict: Verdict | None = None,
    ) -> Iterator[Trial]:
        """Whole trials of a run in its order, a few of them in memory at a time."""
        t = trials.c
        query = select(trials).where(t.run == self._number(run)).order_by(t.trial).limit(CHUNK)
        for column, wanted in ((t.scenario, scenario), (t.variant, variant), (t.verdict, verdict)):
            if wanted is not None:
                query = query.where(column == wanted)

        def read(connection: Connection, place: int) -> Sequence[Trial]:
            return whole_trials(connection, run, connection.execute(query.where(t.trial >= place)).all())

        return self._stream(read)

    def trials_at(self, run: RunId, places: Sequence[int]) -> Iterator[Trial]:
        """Whole trials by their places in a run, in the order given, a few of them in memory at a time; places at which
        nothing was recorded are passed over."""
        number, t = self._number(run), trials.c
        for start in range(0, len(places), CHUNK):
            chunk = places[start : start + CHUNK]
            query = select(trials).where(t.run == number, t.trial.in_(chunk))
            with self._transaction() as connection:
                found = {it.index: it for it in whole_trials(connection, run, connection.execute(query).all())}
            yield from (found[place] for place in chunk if place in found)

    def grades(self, run: RunId) -> Iterator[GradeRow]:
        """What the statistics need of each trial of a run, in its order."""
        number = self._number(run)
        return self._stream(lambda connection, place: grades_from(connection, number, place))

    def expenses(self, run: RunId) -> Iterator[ExpenseRow]:
        """What each trial of a run took, in its order."""
        number = self._number(run)
        return self._stream(lambda connection, place: expenses_from(connection, number, place))

    def decided_by(self, run: RunId, check: str) -> list[tuple[str, str, str, str]]:
        """(scenario, variant, `step` or `outcome`, id) of all that a check (`reply.judge`) decided in any trial."""
        number = self._number(run)
        with self._transaction() as connection:
            return decided_by(connection, number, check)

    def _stream(self, read: Callable[[Connection, int], Sequence[P]]) -> Iterator[P]:
        """All of a run, from a function that reads the next few from a place on.

        Nothing is held open in between: a reader that stops midway blocks nobody. Trials that are recorded
        meanwhile may be among the rest.
        """
        place = 0
        while True:
            with self._transaction() as connection:
                chunk = read(connection, place)
            if not chunk:
                return
            yield from chunk
            place = chunk[-1].index + 1

    def cache_get(self, key: str) -> str | None:
        """What was put under the key, or None."""
        with self._transaction() as connection:
            return connection.execute(select(cache.c.value).where(cache.c.key == key)).scalar()

    def cache_put(self, key: str, value: str) -> None:
        """Keep a value under a key that is made from everything that decides it.

        The first value stays, so that all who ask, in whichever process, agree on it.
        """
        with explained(self._engine.url):
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(cache).values(key=key, value=text(value)))
            except IntegrityError:
                return

    def _number(self, run: RunId) -> int:
        """The number under which the run's rows are kept."""
        if run not in self._numbers:
            with self._transaction() as connection:
                self._numbers[run] = run_number(connection, run)
        return self._numbers[run]
