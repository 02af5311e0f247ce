"""Jobs in the store: a new one, and what earlier ones tell of how long the next will take."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentkit.records import Job, JobId, step_name
from agentkit.store import Store
from agentkit.tune.settings import JobSettings

JOBS = Path(".agentkit") / "jobs"


def new_job(store: Store, target: str, settings: JobSettings) -> Job:
    """Enter a job in the store."""
    now = datetime.now(UTC)
    step = step_name(target).replace("/", "-")
    name = JobId(f"{step[:40]}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")
    said = now.isoformat(timespec="milliseconds")
    job = Job(
        id=name,
        step=target,
        folder=str((JOBS / name).absolute()),
        created_at=said,
        updated_at=said,
        settings=settings.model_dump(mode="json"),
    )
    store.create_job(job)
    return job


def pace(results: Sequence[Mapping[str, Any]], seconds: Mapping[str, float], conversations: int) -> dict[str, float]:
    """How fast a job went, kept with it: `seconds_per_update` and `seconds_per_conversation`.

    `results`: of its phases; `seconds`: of its parts; `conversations`: played, on all sides together.
    """
    updates = sum(result["evaluations"][-1]["step"] for result in results)
    trained = sum(sum(result["seconds"].values()) for result in results)
    return {
        "seconds_per_update": round(trained / max(updates, 1), 2),
        "seconds_per_conversation": round(seconds.get("conversations", 0.0) / max(conversations, 1), 2),
    }


def expected_seconds(store: Store, settings: JobSettings) -> tuple[float | None, str]:
    """What a job is likely to take up to its certificate, and what that is reckoned from; None where no job of this
    store came so far. By the newest that did, its model and machine being taken for this one's."""
    for job in store.jobs(limit=50):
        known = (job.result or {}).get("pace")
        if known:
            plays = 2 * (settings.held_out + settings.rest) * known["seconds_per_conversation"]
            return settings.grpo_steps * known["seconds_per_update"] + plays, f"as fast as job {job.id}"
    return None, "no job of this store was timed yet"
