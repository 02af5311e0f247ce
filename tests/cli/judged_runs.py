"""Runs of one step, graded by a check of one's choice, for tests: recorded as they are, played by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agentkit.records import (
    GOLDEN,
    Message,
    ModelCall,
    Run,
    RunId,
    Status,
    StepGrade,
    Stop,
    Trial,
    TrialId,
    TrialKey,
    Usage,
    Verdict,
)
from agentkit.store import Store

SCENARIO = "shop/chat"
STEP = "kind"


def record_run(
    folder: Path,
    name: str,
    passed: Sequence[bool],
    *,
    check: str = "reply.judge",
    judge: str = "wise",
    cost: float = 0.01,
    status: str = "finished",
    digest: str = "d1",
    imported: bool = False,
    agent: str | None = None,
) -> None:
    """A run whose one step passed so; its outcome is decided by the state of the world, and always holds. One that was
    imported was never graded."""
    run = Run(
        id=RunId(name),
        agent=agent or f"agent-{name}",
        agent_hash=f"hash-{name}",
        deterministic=False,
        seed=0,
        planned=len(passed),
        created_at="2026-03-01T10:00:00Z",
        settings={"import": {"kind": "otel"}} if imported else {"judge": {"model": judge}, "paths": ["nowhere"]},
        versions={},
        scenarios={SCENARIO: digest},
        status=status,
    )
    with Store.open(f"sqlite:///{folder}/.agentkit/agentkit.db") as store:
        store.create_run(run)
        trials = [_trial(run, index, good, check, cost) for index, good in enumerate(passed)]
        store.add_trials([replace(it, verdict=Verdict.INVALID) for it in trials] if imported else trials)


def _trial(run: Run, index: int, good: bool, check: str, cost: float) -> Trial:
    usage = Usage(100, 20)
    grade = StepGrade(STEP, Status.PASSED if good else Status.FAILED, check, "as it was", turn=0)
    done = StepGrade("done", Status.PASSED, "state", "it holds")
    return Trial(
        id=TrialId(f"{run.id}-{index}"),
        run=run.id,
        index=index,
        key=TrialKey(SCENARIO, GOLDEN, index),
        verdict=Verdict.SUCCESS,
        stop=Stop.COMPLETED,
        messages=(
            Message("user", "Hello?", 0),
            Message("assistant", "Hello!", 0, call=ModelCall("m", usage, cost=cost, latency=1.5)),
        ),
        steps=(grade,),
        outcome=(done,),
        variables={},
        usage=usage,
        model_calls=1,
        cost=cost,
        started_at="2026-03-01T10:00:00Z",
        duration=2.0,
    )
