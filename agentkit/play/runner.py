"""Plays a list of trials, some at once, and records each as soon as it is graded; stops cleanly at a hard limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.errors import BudgetExhausted
from agentkit.llm import Budget
from agentkit.play.plan import Planned
from agentkit.play.spending import spent_record
from agentkit.play.trial import Setting, play_trial
from agentkit.records import RunId, Trial, Verdict
from agentkit.scenario import Loaded
from agentkit.store import Store

_BATCH = 16
"""Trials recorded in one transaction, at most."""


@dataclass(slots=True)
class Progress:
    """Where a run stands; one object, updated in place and handed to the listener after every trial."""

    planned: int
    """Trials of the whole run."""
    played: int
    """Trials recorded, earlier sittings included."""
    now: int = 0
    """Trials recorded in this sitting."""
    successes: int = 0
    invalid: int = 0
    last_trouble: str = ""
    """Why the newest invalid trial is invalid."""


Listener = Callable[[Progress], None]


async def play_all(
    trials: Sequence[Planned],
    scenarios: Mapping[str, Loaded],
    setting: Setting,
    store: Store,
    *,
    budget: Budget,
    concurrency: int,
    listener: Listener,
) -> bool:
    """Play what of `trials` the store does not hold yet. False where a hard limit stopped it early.

    A trial counts as played once its record is committed. On cancellation the trials that are under way are abandoned,
    to be played again, and the finished ones are still recorded.
    """
    done = store.keys(setting.run)
    missing = [planned for planned in trials if planned.key not in done]
    progress = Progress(planned=len(trials), played=len(trials) - len(missing))
    listener(progress)
    recorder = _Recorder(setting.run, store, budget, progress, listener)
    recording = asyncio.create_task(recorder.run())
    try:
        async with asyncio.TaskGroup() as group:
            queue = iter(missing)
            workers = [group.create_task(_work(queue, scenarios, setting, recorder)) for _ in range(concurrency)]
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        await recorder.finish(recording)
    return all(worker.result() for worker in workers)


async def _work(
    missing: Iterator[Planned], scenarios: Mapping[str, Loaded], setting: Setting, recorder: _Recorder
) -> bool:
    """Play trial after trial. False where a hard limit was hit."""
    for planned in missing:
        try:
            trial = await play_trial(planned, scenarios[planned.key.scenario], setting)
        except BudgetExhausted:
            return False
        await recorder.put(trial)
    return True


class _Recorder:
    """Commits finished trials in batches, on a thread, in the order in which they finished."""

    def __init__(self, run: RunId, store: Store, budget: Budget, progress: Progress, listener: Listener) -> None:
        self._run = run
        self._store = store
        self._budget = budget
        self._progress = progress
        self._listener = listener
        self._queue: asyncio.Queue[Trial | None] = asyncio.Queue(maxsize=2 * _BATCH)

    async def put(self, trial: Trial) -> None:
        """Hand over a finished trial; waits while the store is behind, so that memory stays flat."""
        await self._queue.put(trial)

    async def finish(self, task: asyncio.Task[None]) -> None:
        """Record what is still in the queue, even while the run is being cancelled."""
        if not task.done():
            await asyncio.shield(self._queue.put(None))
        await asyncio.shield(task)

    async def run(self) -> None:
        while (first := await self._queue.get()) is not None:
            batch = [first]
            while len(batch) < _BATCH and not self._queue.empty():
                trial = self._queue.get_nowait()
                if trial is None:
                    self._queue.put_nowait(None)
                    break
                batch.append(trial)
            await asyncio.to_thread(self._record, batch, spent_record(self._budget.totals))
            self._report(batch)

    def _record(self, batch: Sequence[Trial], spent: Mapping[str, Any]) -> None:
        self._store.add_trials(batch)
        self._store.update_run(self._run, status="running", spent=spent)

    def _report(self, batch: Sequence[Trial]) -> None:
        progress = self._progress
        for trial in batch:
            progress.played += 1
            progress.now += 1
            progress.successes += trial.verdict is Verdict.SUCCESS
            if trial.verdict is Verdict.INVALID:
                progress.invalid += 1
                progress.last_trouble = f"{trial.fault}: {trial.reason}"
        self._listener(progress)
