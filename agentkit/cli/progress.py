"""Live progress of a run: a bar where there is a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agentkit.cli.terminal import inert
from agentkit.llm import Budget
from agentkit.play.runner import Progress as RunProgress
from agentkit.play.session import Session

_EVERY = 10.0
"""Seconds between lines where there is no terminal."""


@contextmanager
def live_progress(session: Session, budget: Budget) -> Iterator[Callable[[RunProgress], None]]:
    """A listener for the run that shows what it hears on standard error."""
    console = Console(stderr=True)
    agent, run, forks = session.run.agent, session.run.id, session.settings.fork is not None
    console.print(
        f"run {run}: {agent} plays {len(session.trials)} {'forks' if forks else 'trials'}",
        highlight=False,
        markup=False,
    )
    if not console.is_terminal:
        yield _Lines(console, budget, forks=forks)
        return
    began = time.monotonic()
    with _bar(console) as bar:
        task = bar.add_task(agent, total=len(session.trials), detail="")
        yield lambda heard: bar.update(task, completed=heard.played, detail=_detail(heard, budget, began, forks))


@contextmanager
def counting(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A listener that is told how many are done, and of how many, and shows it on standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task(what, total=None, detail="")
            yield lambda done, of: bar.update(task, completed=done, total=of)
        return
    last = time.monotonic()

    def tell(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            console.print(f"{what}: {done}/{of} {unit}", highlight=False, markup=False)

    yield tell


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=console,
    )


class _Lines:
    def __init__(self, console: Console, budget: Budget, *, forks: bool) -> None:
        self._console = console
        self._budget = budget
        self._forks = forks
        self._began = self._last = time.monotonic()

    def __call__(self, progress: RunProgress) -> None:
        now = time.monotonic()
        if now - self._last >= _EVERY or progress.played == progress.planned:
            self._last = now
            line = f"{progress.played}/{progress.planned} {_detail(progress, self._budget, self._began, self._forks)}"
            self._console.print(line, highlight=False, markup=False)


def _detail(progress: RunProgress, budget: Budget, began: float, forks: bool) -> str:
    """Successes, trouble, what was spent, and how long it will still take."""
    totals = budget.totals
    parts = [] if forks else [f"{progress.successes} successes"]  # a fork is never one
    if progress.invalid:
        parts.append(f"{progress.invalid} invalid ({inert(progress.last_trouble)[:80]})")
    if totals.calls:
        parts.append(f"{totals.calls} calls")
        parts.append(f"{totals.usage.total} tokens")
        parts.append("cost unknown" if totals.cost is None else f"${totals.cost:.4f}")
    left = progress.planned - progress.played
    if progress.now and left:
        seconds = (time.monotonic() - began) / progress.now * left
        parts.append(f"about {timedelta(seconds=round(seconds))} left")
    return ", ".join(parts)
