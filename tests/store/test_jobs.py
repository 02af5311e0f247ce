"""Jobs in the store: found again, brought up to date, and not fought over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentkit.errors import StoreError
from agentkit.records import JobId, JobStatus
from agentkit.store import Store
from tests.store.records import make_job

ID = make_job().id


def test_a_job_comes_back_as_it_was(store: Store) -> None:
    plain = make_job()
    full = make_job("job-2", status=JobStatus.REFUSED, stage="no example", pid=2**40, result={"why": ["none"]})
    store.create_job(plain)
    store.create_job(full)
    assert store.jobs() == [full, plain], "newest first"
    assert store.jobs(limit=1) == [full]
    assert store.job(ID) == plain
    assert store.job("last") == full


def test_jobs_are_found_by_a_beginning_that_is_theirs_alone(store: Store) -> None:
    with pytest.raises(StoreError, match="no job is recorded yet"):
        store.job("last")
    store.create_job(make_job("alpha"))
    store.create_job(make_job("alps"))
    assert store.job("alph").id == "alpha"
    with pytest.raises(StoreError, match="'al' begins the ids of several jobs: alps, alpha"):
        store.job("al")
    with pytest.raises(StoreError, match=r"no job 'alpah' \(did you mean 'alpha'\?\)"):
        store.job("alpah")


def test_a_job_is_recorded_once(store: Store) -> None:
    store.create_job(make_job())
    with pytest.raises(StoreError, match="a job 'job-1' is already recorded"):
        store.create_job(make_job(step="greet"))
    assert store.jobs() == [make_job()]


def test_what_is_not_told_stays(store: Store) -> None:
    store.create_job(make_job())
    begun = store.update_job(ID, status=JobStatus.TRAINING, stage="step 1 of 40", pid=4711)
    assert begun == store.job(ID)
    assert begun.updated_at > make_job().updated_at
    assert replace(begun, updated_at="") == replace(
        make_job(), updated_at="", status=JobStatus.TRAINING, stage="step 1 of 40", pid=4711
    )
    later = store.update_job(ID, stage="step 2 of 40", result={"loss": 0.5}, settings={"steps": 41})
    assert later == replace(
        begun, updated_at=later.updated_at, stage="step 2 of 40", result={"loss": 0.5}, settings={"steps": 41}
    )


@pytest.mark.parametrize("status", JobStatus)
def test_a_job_that_has_ended_has_no_process(store: Store, status: JobStatus) -> None:
    store.create_job(make_job(pid=4711))
    assert store.update_job(ID, status=status).pid == (None if status.ended else 4711)


def test_a_status_that_somebody_else_changed_is_not_overwritten(store: Store) -> None:
    store.create_job(make_job(status=JobStatus.SAMPLING))
    store.update_job(ID, status=JobStatus.STOPPED)
    with pytest.raises(StoreError, match="job job-1 is stopped by now, expected one of: sampling, training"):
        store.update_job(
            ID, status=JobStatus.TRAINING, stage="step 1", only_from=(JobStatus.SAMPLING, JobStatus.TRAINING)
        )
    assert (store.job(ID).status, store.job(ID).stage) == (JobStatus.STOPPED, "")
    assert store.update_job(ID, status=JobStatus.TRAINING, only_from=[JobStatus.STOPPED]).status == "training"


def test_only_a_whole_id_is_changed(store: Store) -> None:
    store.create_job(make_job())
    with pytest.raises(StoreError, match=r"no job 'job' \(did you mean 'job-1'\?\)"):
        store.update_job(JobId("job"), stage="x")
    with pytest.raises(StoreError, match=r"no job 'job' "):
        store.update_job(JobId("job"), stage="x", only_from=[JobStatus.COMPILING])
    assert store.job(ID) == make_job()
