"""Training jobs: what each was told, what it is at, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from agentkit.errors import StoreError
from agentkit.records import Job, JobId, JobStatus
from agentkit.store.database import Database
from agentkit.store.engine import explained
from agentkit.store.find import find_job
from agentkit.store.storable import json, optional_json, text
from agentkit.store.tables import jobs


class Jobs(Database):
    """The store's methods for jobs."""

    def create_job(self, job: Job) -> None:
        """Record a job before it does anything."""
        with explained(self._engine.url):
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(jobs).values(_row(job)))
            except IntegrityError:
                raise StoreError(f"{self.url}: a job {job.id!r} is already recorded") from None

    def update_job(
        self,
        job: JobId,
        *,
        status: JobStatus | None = None,
        stage: str | None = None,
        pid: int | None = None,
        result: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        only_from: Collection[JobStatus] | None = None,
    ) -> Job:
        """Say how far a job has come, and give it as it is then. What is None stays as it is.

        `only_from`: change nothing where its status is another by now, because somebody else changed it.
        A job that ends has no process any more.

        Raises:
            StoreError: no such job, or its status is none of `only_from`.
        """
        values: dict[str, Any] = {"updated_at": datetime.now(UTC).isoformat(timespec="milliseconds")}
        if status is not None:
            values |= {"status": status.value} | ({"pid": None} if status.ended else {})
        values |= {} if stage is None else {"stage": text(stage)}
        values |= {} if pid is None else {"pid": pid}
        values |= {} if result is None else {"result": json(result)}
        values |= {} if settings is None else {"settings": json(settings)}
        change = update(jobs).where(jobs.c.id == job).values(values)
        if only_from is not None:
            change = change.where(jobs.c.status.in_([it.value for it in only_from]))
        with self._transaction() as connection:
            done = connection.execute(change).rowcount
            found = _read(find_job(connection, job, exact=True))
        if not done:
            expected = ", ".join(only_from or ())
            raise StoreError(f"{self.url}: job {job} is {found.status} by now, expected one of: {expected}")
        return found

    def job(self, ref: str) -> Job:
        """The job named by `last` (the newest), by its id, or by a beginning of its id that is no other's."""
        with self._transaction() as connection:
            return _read(find_job(connection, ref))

    def jobs(self, limit: int = 20) -> list[Job]:
        """The newest jobs, newest first."""
        newest = select(jobs).order_by(jobs.c.job.desc()).limit(limit)
        with self._transaction() as connection:
            return [_read(row) for row in connection.execute(newest)]


def _row(job: Job) -> dict[str, Any]:
    """All columns but `job`, which the database counts."""
    return {
        "id": text(job.id),
        "step": text(job.step),
        "folder": text(job.folder),
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "settings": json(job.settings),
        "status": job.status.value,
        "stage": text(job.stage),
        "pid": job.pid,
        "result": optional_json(job.result),
    }


def _read(row: Row[Any]) -> Job:
    return Job(
        id=JobId(row.id),
        step=row.step,
        folder=row.folder,
        created_at=row.created_at,
        updated_at=row.updated_at,
        settings=orjson.loads(row.settings),
        status=JobStatus(row.status),
        stage=row.stage,
        pid=row.pid,
        result=None if row.result is None else orjson.loads(row.result),
    )
