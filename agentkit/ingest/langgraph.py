"""Threads of a LangGraph checkpoint database become trials that nobody graded yet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from agentkit.errors import Problem
from agentkit.ingest.imported import Imported, imported_run, numbered, run_id
from agentkit.ingest.ungraded import ungraded_trial
from agentkit.play.threads import Thread, read_threads
from agentkit.records import RunId, Trial
from agentkit.redact import redact

KIND = "langgraph"


def read_langgraph(source: str, *, agent: str | None = None, threads: Sequence[str] = ()) -> Imported:
    """The threads of a SQLite file or a `postgresql://` URL, each as far as its last checkpoint holds it.

    The run is that of the database: importing it again later adds the threads that are new, and those that have grown
    since.

    Raises:
        UsageError: the database cannot be opened, is no checkpoint database, or holds no such thread.
    """
    is_url = "://" in source
    name = agent or ("langgraph" if is_url else Path(source).stem)
    trials: list[Trial] = []
    problems: list[Problem] = []
    shown = redact(source) if is_url else source
    for found in read_threads(source, threads):
        if isinstance(found, Thread):
            trials.append(_trial(name, found, len(trials)))
        else:
            id, why = found
            problems.append(Problem(shown, None, f"thread {id}", why))
    trials.sort(key=lambda trial: trial.started_at)
    run = imported_run(
        KIND,
        _digest(shown if is_url else str(Path(source).resolve()), name),
        agent=name,
        trials=len(trials),
        complete=not problems,
        scenarios={},
        settings={"database": shown},
    )
    formerly = None if is_url else run_id(KIND, _digest(str(Path(source).absolute()), name))
    return Imported(run, tuple(numbered(run.id, trials, 0)), tuple(problems), formerly=formerly)


def _digest(place: str, agent: str) -> str:
    return hashlib.sha256(f"{place}\0{agent}".encode("utf-8", "surrogatepass")).hexdigest()


def _trial(agent: str, thread: Thread, index: int) -> Trial:
    return ungraded_trial(
        RunId(""),
        index,
        source=KIND,
        agent=agent,
        conversation=thread.id,
        messages=thread.messages,
        started=thread.started,
        seconds=max(0.0, thread.ended - thread.started),
    )
